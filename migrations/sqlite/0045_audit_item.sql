-- +goose Up
CREATE TABLE "audit_item" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "audit_id" BLOB NOT NULL CHECK (length("audit_id") = 16),
  "no" INTEGER NOT NULL DEFAULT 0,
  "target_id" BLOB NULL CHECK (length("target_id") = 16),
  "outcome" TEXT NOT NULL DEFAULT '' CHECK (length("outcome") <= 32),
  PRIMARY KEY ("account_id", "audit_id", "no")
) STRICT, WITHOUT ROWID;
