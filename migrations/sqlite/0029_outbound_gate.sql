-- +goose Up
CREATE TABLE "outbound_gate" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "failures" INTEGER NOT NULL DEFAULT 0,
  "since" INTEGER NOT NULL DEFAULT 0,
  "paused_until" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id")
) STRICT, WITHOUT ROWID;
