-- +goose Up
-- The app ids of mini-programs that a card may use, a line each, and the template of the link that opens a task.
ALTER TABLE "account" ADD COLUMN "mini_programs" TEXT NOT NULL DEFAULT '' CHECK (length("mini_programs") <= 1024);
ALTER TABLE "account" ADD COLUMN "task_link" TEXT NOT NULL DEFAULT '' CHECK (length("task_link") <= 512);
