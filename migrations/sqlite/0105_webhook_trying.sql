-- +goose Up
-- Receivers that failed last, are slow, or have not answered yet share a part of the workers (rule N6); due webhooks are found by that.
ALTER TABLE "webhook" ADD COLUMN "trying" INTEGER NOT NULL DEFAULT 0;
DROP INDEX "webhook_due";
CREATE INDEX "webhook_due" ON "webhook" ("trying", "due_at");
