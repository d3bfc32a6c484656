-- +goose Up
-- What the account sends to who follows and is bound; empty: nothing.
ALTER TABLE `account` ADD COLUMN `follow_reply` VARCHAR(300) NOT NULL DEFAULT '';
