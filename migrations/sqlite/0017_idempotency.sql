-- +goose Up
CREATE TABLE "idempotency" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "subject" BLOB NOT NULL CHECK (length("subject") <= 96),
  "idem_key" BLOB NOT NULL CHECK (length("idem_key") <= 64),
  "body_hash" BLOB NOT NULL CHECK (length("body_hash") <= 32),
  "result_id" BLOB NULL CHECK (length("result_id") = 16),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "subject", "idem_key")
) STRICT, WITHOUT ROWID;
