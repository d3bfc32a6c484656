-- +goose Up
-- The language of what is sent outside the app.
ALTER TABLE `account` ADD COLUMN `outside_language` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'ZH_CN';
