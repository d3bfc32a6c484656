-- +goose Up
-- Replays that a receiver does not take have a pause of their own (rule N6).
ALTER TABLE `webhook` ADD COLUMN `replays_at` BIGINT NOT NULL DEFAULT 0;
