-- +goose Up
CREATE TABLE "tag" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "name" TEXT NOT NULL DEFAULT '' CHECK (length("name") <= 32),
  "folded_name" BLOB NULL CHECK (length("folded_name") <= 2560),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "updated_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "folded_name")
) STRICT, WITHOUT ROWID;
