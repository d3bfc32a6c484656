-- +goose Up
CREATE TABLE "job_item" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "job_id" BLOB NOT NULL CHECK (length("job_id") = 16),
  "no" INTEGER NOT NULL DEFAULT 0,
  "target_id" BLOB NULL CHECK (length("target_id") = 16),
  "code" TEXT NOT NULL DEFAULT '' CHECK (length("code") <= 32),
  "message" TEXT NOT NULL DEFAULT '' CHECK (length("message") <= 255),
  "field" TEXT NOT NULL DEFAULT '' CHECK (length("field") <= 64),
  PRIMARY KEY ("account_id", "job_id", "no")
) STRICT, WITHOUT ROWID;
