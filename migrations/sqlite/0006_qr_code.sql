-- +goose Up
CREATE TABLE "qr_code" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "scene" BLOB NOT NULL CHECK (length("scene") <= 64),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "owner_id" BLOB NOT NULL CHECK (length("owner_id") = 16),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "scene"),
  UNIQUE ("account_id", "owner_id"),
  CONSTRAINT "qr_code_check_1" CHECK (kind IN ('ADVISOR','GROUP'))
) STRICT, WITHOUT ROWID;
