-- +goose Up
CREATE TABLE "outreach" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "no" INTEGER NOT NULL,
  "advisor_id" BLOB NULL CHECK (length("advisor_id") = 16),
  "confirmed_at" INTEGER NOT NULL DEFAULT 0,
  "month" INTEGER NOT NULL DEFAULT 0,
  "sent_count" INTEGER NOT NULL DEFAULT 0,
  "out_count" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "customer_id", "no")
) STRICT, WITHOUT ROWID;
