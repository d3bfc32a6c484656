-- +goose Up
ALTER TABLE `conversation` ADD COLUMN `last_interaction_at` BIGINT NOT NULL DEFAULT 0;
