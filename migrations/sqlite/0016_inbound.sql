-- +goose Up
CREATE TABLE "inbound" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "dedup_key" BLOB NOT NULL CHECK (length("dedup_key") <= 191),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "name" TEXT NOT NULL DEFAULT '' CHECK (length("name") <= 64),
  "customer_id" BLOB NULL CHECK (length("customer_id") = 16),
  "scene" BLOB NULL CHECK (length("scene") <= 64),
  "outcome" TEXT NOT NULL DEFAULT '' CHECK (length("outcome") <= 32),
  "advisor_id" BLOB NULL CHECK (length("advisor_id") = 16),
  "at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "dedup_key")
) STRICT, WITHOUT ROWID;
