-- +goose Up
ALTER TABLE `message` ADD COLUMN `dedup_key` VARBINARY(191) NULL;
