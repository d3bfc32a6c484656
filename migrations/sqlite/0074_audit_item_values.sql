-- +goose Up
-- What was of the thing that an item is about, and what is since. By the key of the thing an erasure finds them.
ALTER TABLE "audit_item" ADD COLUMN "before_json" TEXT NOT NULL DEFAULT '';
ALTER TABLE "audit_item" ADD COLUMN "after_json" TEXT NOT NULL DEFAULT '';

CREATE INDEX "audit_item_target" ON "audit_item" ("account_id", "target_id");
