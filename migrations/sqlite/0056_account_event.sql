-- +goose Up
-- Events of accounts' streams that have no number yet: the relay moves them to "event".
CREATE TABLE "account_event" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "no" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "at" INTEGER NOT NULL DEFAULT 0,
  "customer_id" BLOB NULL CHECK (length("customer_id") = 16),
  "subject_id" BLOB NULL CHECK (length("subject_id") = 16)
) STRICT;

CREATE INDEX "account_event_account" ON "account_event" ("account_id", "no");
