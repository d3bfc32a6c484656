-- +goose Up
CREATE TABLE "advisor_group" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "name" TEXT NOT NULL DEFAULT '' CHECK (length("name") <= 32),
  "folded_name" TEXT NOT NULL DEFAULT '' CHECK (length("folded_name") <= 640),
  "member_count" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "updated_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "folded_name"),
  CONSTRAINT "advisor_group_check_1" CHECK (member_count BETWEEN 0 AND 200)
) STRICT, WITHOUT ROWID;
