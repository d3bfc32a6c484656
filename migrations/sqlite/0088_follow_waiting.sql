-- +goose Up
-- Followers of whom the platform is to be asked (rules E3, E8), and whether what becomes of them waits for that.
CREATE TABLE "follow_waiting" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "followed_at" INTEGER NOT NULL DEFAULT 0,
  "decides" INTEGER NOT NULL DEFAULT 0,
  "since" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "customer_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "follow_waiting_order" ON "follow_waiting" ("account_id", "decides" DESC, "since", "customer_id");
