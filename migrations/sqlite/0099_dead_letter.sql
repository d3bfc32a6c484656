-- +goose Up
-- Events that a webhook's receiver did not take, and what it must be told of others (rule N6).
CREATE TABLE "dead_letter" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "webhook_id" BLOB NOT NULL CHECK (length("webhook_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "cause" TEXT NOT NULL DEFAULT '' CHECK (length("cause") <= 16),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "epoch" BLOB NULL CHECK (length("epoch") <= 8),
  "first_seq" INTEGER NOT NULL DEFAULT 0,
  "last_seq" INTEGER NOT NULL DEFAULT 0,
  "at" INTEGER NOT NULL DEFAULT 0,
  "customer_id" BLOB NULL CHECK (length("customer_id") = 16),
  "subject_id" BLOB NULL CHECK (length("subject_id") = 16),
  "tried_at" INTEGER NOT NULL DEFAULT 0,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "failure" TEXT NOT NULL DEFAULT '' CHECK (length("failure") <= 16),
  "failed_status" INTEGER NOT NULL DEFAULT 0,
  "failed_at" INTEGER NOT NULL DEFAULT 0,
  "replay_at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "webhook_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "dead_letter_age" ON "dead_letter" ("created_at");
