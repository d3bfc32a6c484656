-- +goose Up
-- The app ids of mini-programs that a card may use, a line each, and the template of the link that opens a task.
ALTER TABLE `account`
  ADD COLUMN `mini_programs` VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD COLUMN `task_link` VARCHAR(512) NOT NULL DEFAULT '';
