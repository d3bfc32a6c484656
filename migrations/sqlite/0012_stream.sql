-- +goose Up
CREATE TABLE "stream" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "head" INTEGER NOT NULL DEFAULT 0,
  "floor_seq" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  CONSTRAINT "stream_check_1" CHECK (floor_seq BETWEEN 0 AND head)
) STRICT, WITHOUT ROWID;
