-- +goose Up
ALTER TABLE "message" ADD COLUMN "dedup_key" BLOB NULL CHECK (length("dedup_key") <= 191);
