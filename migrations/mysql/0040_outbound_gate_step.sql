-- +goose Up
ALTER TABLE `outbound_gate` ADD COLUMN `step` INT NOT NULL DEFAULT 0;
