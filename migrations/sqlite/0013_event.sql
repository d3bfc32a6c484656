-- +goose Up
CREATE TABLE "event" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "stream_id" BLOB NOT NULL CHECK (length("stream_id") = 16),
  "seq" INTEGER NOT NULL DEFAULT 0,
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "at" INTEGER NOT NULL DEFAULT 0,
  "customer_id" BLOB NULL CHECK (length("customer_id") = 16),
  "message_id" BLOB NULL CHECK (length("message_id") = 16),
  "notification_id" BLOB NULL CHECK (length("notification_id") = 16),
  PRIMARY KEY ("account_id", "stream_id", "seq")
) STRICT, WITHOUT ROWID;
