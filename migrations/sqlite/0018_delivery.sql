-- +goose Up
CREATE TABLE "delivery" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "message_id" BLOB NOT NULL CHECK (length("message_id") = 16),
  "state" TEXT NOT NULL DEFAULT '' CHECK (length("state") <= 32),
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "customer_id", "message_id")
) STRICT, WITHOUT ROWID;
