-- +goose Up
-- What an account's platform is asked with until it expires (rule K1), sealed, and who asks for the next.
CREATE TABLE "access_token" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "sealed" BLOB NULL CHECK (length("sealed") <= 2048),
  "renew_at" INTEGER NOT NULL DEFAULT 0,
  "expires_at" INTEGER NOT NULL DEFAULT 0,
  "leased_until" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id")
) STRICT, WITHOUT ROWID;
