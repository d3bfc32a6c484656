-- +goose Up
-- How far the messages of an account have been looked through for those that are too old.
CREATE TABLE "message_sweep" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "up_to" BLOB NULL CHECK (length("up_to") = 16),
  "again" BLOB NULL CHECK (length("again") = 16),
  PRIMARY KEY ("account_id")
) STRICT, WITHOUT ROWID;
