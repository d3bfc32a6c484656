-- +goose Up
CREATE TABLE "notification" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "advisor_id" BLOB NOT NULL CHECK (length("advisor_id") = 16),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "customer_id" BLOB NULL CHECK (length("customer_id") = 16),
  "source" TEXT NOT NULL DEFAULT '' CHECK (length("source") <= 32),
  "deadline" INTEGER NOT NULL DEFAULT 0,
  "merged" INTEGER NOT NULL DEFAULT 0,
  "at" INTEGER NOT NULL DEFAULT 0,
  "read_at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "notification_advisor" ON "notification" ("account_id", "advisor_id", "at", "id");
