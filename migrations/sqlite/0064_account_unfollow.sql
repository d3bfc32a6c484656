-- +goose Up
-- What becomes of who stops following; empty: what the channel's accounts do.
ALTER TABLE "account" ADD COLUMN "on_unfollow" TEXT NOT NULL DEFAULT '' CHECK (length("on_unfollow") <= 32);
ALTER TABLE "account" ADD COLUMN "erase_after_days" INTEGER NOT NULL DEFAULT 0;
