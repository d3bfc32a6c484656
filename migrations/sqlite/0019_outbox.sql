-- +goose Up
CREATE TABLE "outbox" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "due_at" INTEGER NOT NULL DEFAULT 0,
  "leased_by" BLOB NULL CHECK (length("leased_by") = 16),
  "leased_until" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "customer_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "outbox_due" ON "outbox" ("due_at");
