-- +goose Up
-- What the account sends to who follows and is bound; empty: nothing.
ALTER TABLE "account" ADD COLUMN "follow_reply" TEXT NOT NULL DEFAULT '' CHECK (length("follow_reply") <= 300);
