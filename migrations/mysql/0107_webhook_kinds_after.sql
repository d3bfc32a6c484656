-- +goose Up
-- Behind which number of the account's stream a webhook asks for a kind of events (rule N7).
ALTER TABLE `webhook` ADD COLUMN `kinds_after` VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
