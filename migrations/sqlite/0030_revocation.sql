-- +goose Up
CREATE TABLE "revocation" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "name" BLOB NOT NULL CHECK (length("name") <= 255),
  "issued_before" INTEGER NOT NULL DEFAULT 0,
  "expires_at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "kind", "name"),
  CONSTRAINT "revocation_check_1" CHECK (kind IN ('TOKEN','SUBJECT','ADVISOR'))
) STRICT, WITHOUT ROWID;
CREATE INDEX "revocation_expiry" ON "revocation" ("expires_at");
