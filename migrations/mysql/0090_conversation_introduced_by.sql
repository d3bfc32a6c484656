-- +goose Up
-- The advisor whose nickname stood before a text last (rule B4).
ALTER TABLE `conversation` ADD COLUMN `introduced_by` BINARY(16) NULL;
