-- +goose Up
CREATE TABLE "group_member" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "group_id" BLOB NOT NULL CHECK (length("group_id") = 16),
  "advisor_id" BLOB NOT NULL CHECK (length("advisor_id") = 16),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "group_id", "advisor_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "group_member_advisor" ON "group_member" ("account_id", "advisor_id", "group_id");
