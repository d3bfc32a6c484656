-- +goose Up
CREATE TABLE "customer_change" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "field" TEXT NOT NULL DEFAULT '' CHECK (length("field") <= 32),
  "was" TEXT NOT NULL,
  "became" TEXT NOT NULL,
  "made_by" TEXT NOT NULL DEFAULT '' CHECK (length("made_by") <= 300),
  "at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "customer_change_at" ON "customer_change" ("account_id", "at", "id");
CREATE INDEX "customer_change_customer" ON "customer_change" ("account_id", "customer_id", "at", "id");
