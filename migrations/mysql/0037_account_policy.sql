-- +goose Up
ALTER TABLE `account`
  ADD COLUMN `policy_overrides` VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN `mass_head` INT NOT NULL DEFAULT 0;
