-- +goose Up
CREATE TABLE "violation" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "happened_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  CONSTRAINT "violation_check_1" CHECK (kind IN ('FRAUD','PORN','POLITICS','MALICIOUS_REGISTRATION','MULTI_LEVEL','ONLINE_EARNING','OTHER'))
) STRICT, WITHOUT ROWID;
