-- +goose Up
-- When the person was erased: the row stays for those who count, and nobody is shown it.
ALTER TABLE "customer" ADD COLUMN "erased_at" INTEGER NOT NULL DEFAULT 0;

CREATE INDEX "customer_unfollowed" ON "customer" ("account_id", "unfollowed_at", "id");
