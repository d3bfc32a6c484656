-- +goose Up
-- Why a part of an account's platform is not asked until an instant (rule K1).
CREATE TABLE "channel_fault" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "api" TEXT NOT NULL CHECK (length("api") <= 32),
  "code" INTEGER NOT NULL DEFAULT 0,
  "since" INTEGER NOT NULL DEFAULT 0,
  "until_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "api")
) STRICT, WITHOUT ROWID;
