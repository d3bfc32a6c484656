-- +goose Up
CREATE INDEX `idempotency_created` ON `idempotency` (`created_at`);
