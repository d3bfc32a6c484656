-- +goose Up
CREATE TABLE "binding" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "advisor_id" BLOB NOT NULL CHECK (length("advisor_id") = 16),
  "change_kind" TEXT NOT NULL DEFAULT '' CHECK (length("change_kind") <= 32),
  "source" TEXT NOT NULL DEFAULT '' CHECK (length("source") <= 32),
  "made_by" TEXT NOT NULL DEFAULT '' CHECK (length("made_by") <= 300),
  "at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "binding_customer" ON "binding" ("account_id", "customer_id", "id");
