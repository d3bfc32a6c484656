-- +goose Up
-- When the window of that text ended, as far as was known when the last one was sent in it.
ALTER TABLE "conversation" ADD COLUMN "introduced_until" INTEGER NOT NULL DEFAULT 0;
