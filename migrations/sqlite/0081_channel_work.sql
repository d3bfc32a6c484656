-- +goose Up
-- What is to be asked of accounts' platforms beside jobs and messages (rule K1): a row while something waits.
CREATE TABLE "channel_work" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "api" TEXT NOT NULL CHECK (length("api") <= 32),
  "due_at" INTEGER NOT NULL DEFAULT 0,
  "leased_by" BLOB NULL CHECK (length("leased_by") = 16),
  "attempts" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "api")
) STRICT, WITHOUT ROWID;
CREATE INDEX "channel_work_due" ON "channel_work" ("due_at");
