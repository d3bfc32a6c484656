-- +goose Up
-- Behind which number of the account's stream a webhook asks for a kind of events (rule N7).
ALTER TABLE "webhook" ADD COLUMN "kinds_after" TEXT NOT NULL DEFAULT '' CHECK (length("kinds_after") <= 2048);
