-- +goose Up
CREATE TABLE "mass_send" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "send_key" BLOB NOT NULL CHECK (length("send_key") <= 64),
  "no" INTEGER NOT NULL DEFAULT 0,
  "at" INTEGER NOT NULL DEFAULT 0,
  "month" INTEGER NOT NULL DEFAULT 0,
  "body_hash" BLOB NOT NULL CHECK (length("body_hash") <= 32),
  "total" INTEGER NOT NULL DEFAULT 0,
  "done" INTEGER NOT NULL DEFAULT 0,
  "counted" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "send_key")
) STRICT, WITHOUT ROWID;
CREATE INDEX "mass_send_no" ON "mass_send" ("account_id", "no");
