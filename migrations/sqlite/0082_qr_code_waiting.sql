-- +goose Up
-- Codes of which the platform is to be told (rule C1), and from when on.
CREATE TABLE "qr_code_waiting" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "due_at" INTEGER NOT NULL DEFAULT 0,
  "code_id" BLOB NOT NULL CHECK (length("code_id") = 16),
  PRIMARY KEY ("account_id", "due_at", "code_id")
) STRICT, WITHOUT ROWID;
