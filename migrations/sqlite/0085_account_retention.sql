-- +goose Up
-- For how many days events and messages are kept, and messages can be read; 0: as limits say.
ALTER TABLE "account" ADD COLUMN "event_days" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "account" ADD COLUMN "readable_days" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "account" ADD COLUMN "message_days" INTEGER NOT NULL DEFAULT 0;
