-- +goose Up
CREATE TABLE "sandbox" (
  account_id BLOB NOT NULL CHECK (length(account_id) = 16),
  sending TEXT NOT NULL DEFAULT '' CHECK (length(sending) <= 32),
  PRIMARY KEY (account_id)
) STRICT, WITHOUT ROWID;
