-- +goose Up
-- Nickname and info as search compares them; NULL: neither.
ALTER TABLE "customer" ADD COLUMN "folded" TEXT NULL;
