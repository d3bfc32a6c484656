-- +goose Up
-- For how many days events and messages are kept, and messages can be read; 0: as limits say.
ALTER TABLE `account`
  ADD COLUMN `event_days` INT NOT NULL DEFAULT 0,
  ADD COLUMN `readable_days` INT NOT NULL DEFAULT 0,
  ADD COLUMN `message_days` INT NOT NULL DEFAULT 0;
