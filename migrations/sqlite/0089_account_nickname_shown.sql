-- +goose Up
-- Whether an advisor's nickname stands before the first text of a window (rule B4).
ALTER TABLE "account" ADD COLUMN "nickname_shown" INTEGER NOT NULL DEFAULT 0;
