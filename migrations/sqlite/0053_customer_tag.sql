-- +goose Up
CREATE TABLE "customer_tag" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "option_id" BLOB NOT NULL CHECK (length("option_id") = 16),
  "advisor_id" BLOB NULL CHECK (length("advisor_id") = 16),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "customer_id", "option_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "customer_tag_option" ON "customer_tag" ("account_id", "option_id", "customer_id");
CREATE INDEX "customer_tag_advisor" ON "customer_tag" ("account_id", "advisor_id", "option_id", "customer_id");
