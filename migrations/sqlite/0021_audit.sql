-- +goose Up
CREATE TABLE "audit" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "at" INTEGER NOT NULL DEFAULT 0,
  "role" TEXT NOT NULL DEFAULT '' CHECK (length("role") <= 32),
  "subject" TEXT NOT NULL DEFAULT '' CHECK (length("subject") <= 255),
  "token_id" TEXT NOT NULL DEFAULT '' CHECK (length("token_id") <= 255),
  "request_id" TEXT NOT NULL DEFAULT '' CHECK (length("request_id") <= 64),
  "action" TEXT NOT NULL DEFAULT '' CHECK (length("action") <= 64),
  "target_kind" TEXT NOT NULL DEFAULT '' CHECK (length("target_kind") <= 32),
  "target_id" BLOB NULL CHECK (length("target_id") = 16),
  "before_json" TEXT NOT NULL,
  "after_json" TEXT NOT NULL,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
