-- +goose Up
CREATE TABLE "customer_gram" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "gram" BLOB NOT NULL CHECK (length("gram") <= 8),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  PRIMARY KEY ("account_id", "gram", "customer_id")
) STRICT, WITHOUT ROWID;
