-- +goose Up
ALTER TABLE `binding` ADD COLUMN `former_id` BINARY(16) NULL;
