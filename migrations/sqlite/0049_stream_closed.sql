-- +goose Up
-- When the stream's advisor was removed; 0: it goes on.
ALTER TABLE "stream" ADD COLUMN "closed_at" INTEGER NOT NULL DEFAULT 0;
