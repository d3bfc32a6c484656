-- +goose Up
ALTER TABLE `account` ADD COLUMN `code_count` INT NOT NULL DEFAULT 0;
