-- +goose Up
CREATE TABLE "app_lease" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "advisor_id" BLOB NOT NULL CHECK (length("advisor_id") = 16),
  "node_id" BLOB NOT NULL CHECK (length("node_id") = 16),
  "renewed_at" INTEGER NOT NULL DEFAULT 0,
  "expires_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "advisor_id", "node_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "app_lease_expiry" ON "app_lease" ("expires_at");
