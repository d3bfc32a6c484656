-- +goose Up
ALTER TABLE `conversation` ADD COLUMN `mass_seen` INT NOT NULL DEFAULT 0;
