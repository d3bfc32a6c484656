-- +goose Up
-- Whether advisors may change their own nickname and avatar.
ALTER TABLE `account` ADD COLUMN `advisors_edit_profile` BOOLEAN NOT NULL DEFAULT FALSE;
