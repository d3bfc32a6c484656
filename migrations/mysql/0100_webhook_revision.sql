-- +goose Up
-- What is sent to an address or signed with a secret that were changed meanwhile is not credited (rule N6).
ALTER TABLE `webhook` ADD COLUMN `revision` BIGINT NOT NULL DEFAULT 0;
