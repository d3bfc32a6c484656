-- +goose Up
-- Receivers that failed last, are slow, or have not answered yet share a part of the workers (rule N6); due webhooks are found by that.
ALTER TABLE `webhook` ADD COLUMN `trying` BOOLEAN NOT NULL DEFAULT FALSE, DROP INDEX `webhook_due`, ADD INDEX `webhook_due` (`trying`, `due_at`);
