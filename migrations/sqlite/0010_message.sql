-- +goose Up
CREATE TABLE "message" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "advisor_id" BLOB NULL CHECK (length("advisor_id") = 16),
  "direction" TEXT NOT NULL DEFAULT '' CHECK (length("direction") <= 32),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "text" TEXT NOT NULL,
  "media_ref" TEXT NOT NULL DEFAULT '' CHECK (length("media_ref") <= 1024),
  "url" TEXT NOT NULL DEFAULT '' CHECK (length("url") <= 1024),
  "detail" TEXT NOT NULL DEFAULT '' CHECK (length("detail") <= 1024),
  "latitude" REAL NOT NULL DEFAULT 0,
  "longitude" REAL NOT NULL DEFAULT 0,
  "status" TEXT NOT NULL DEFAULT '' CHECK (length("status") <= 32),
  "failure_reason" TEXT NOT NULL DEFAULT '' CHECK (length("failure_reason") <= 32),
  "slot_kind" TEXT NOT NULL DEFAULT '' CHECK (length("slot_kind") <= 32),
  "slot_no" INTEGER NOT NULL DEFAULT 0,
  "slot_month" INTEGER NOT NULL DEFAULT 0,
  "at" INTEGER NOT NULL DEFAULT 0,
  "status_at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "message_customer" ON "message" ("account_id", "customer_id", "id");
