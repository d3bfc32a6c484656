-- +goose Up
CREATE UNIQUE INDEX "message_dedup" ON "message" ("account_id", "dedup_key");
