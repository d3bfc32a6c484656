-- +goose Up
CREATE TABLE "scan" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "code_id" BLOB NULL CHECK (length("code_id") = 16),
  "scene" BLOB NOT NULL CHECK (length("scene") <= 64),
  "label" TEXT NOT NULL DEFAULT '' CHECK (length("label") <= 64),
  "follows" INTEGER NOT NULL DEFAULT 0,
  "outcome" TEXT NOT NULL DEFAULT '' CHECK (length("outcome") <= 32),
  "advisor_id" BLOB NULL CHECK (length("advisor_id") = 16),
  "at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "scan_customer" ON "scan" ("account_id", "customer_id", "id");
CREATE INDEX "scan_label" ON "scan" ("account_id", "label", "id");
CREATE INDEX "scan_code" ON "scan" ("account_id", "code_id", "id");
