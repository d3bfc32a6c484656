-- +goose Up
-- The place in the queue. NULL in rows that the release before this one writes: their place is
-- that of their message.
ALTER TABLE `delivery` ADD COLUMN `id` BINARY(16) NULL;
