-- +goose Up
-- The image that an erased person had, for whose file the receipt waits (rule E13), and when an erasure that waits is looked at again.
ALTER TABLE `erasure` ADD COLUMN `avatar_id` BINARY(16) NULL, ADD COLUMN `retry_at` BIGINT NOT NULL DEFAULT 0, DROP KEY `erasure_open`, ADD KEY `erasure_open` (`finished_at`, `retry_at`, `begun_at`);
