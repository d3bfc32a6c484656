-- +goose Up
ALTER TABLE `binding` ADD COLUMN `label` VARCHAR(64) NOT NULL DEFAULT '';
