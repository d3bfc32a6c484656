-- +goose Up
CREATE INDEX `inbound_created` ON `inbound` (`outcome`, `created_at`);
