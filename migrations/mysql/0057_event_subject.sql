-- +goose Up
-- What else the event is about, by its kind: of CUSTOMER_CHANGED the row of the log of changes.
ALTER TABLE `event` ADD COLUMN `subject_id` BINARY(16) NULL;
