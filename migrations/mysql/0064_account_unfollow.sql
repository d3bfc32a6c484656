-- +goose Up
-- What becomes of who stops following; empty: what the channel's accounts do.
ALTER TABLE `account`
  ADD COLUMN `on_unfollow` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN `erase_after_days` INT NOT NULL DEFAULT 0;
