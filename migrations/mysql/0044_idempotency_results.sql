-- +goose Up
ALTER TABLE `idempotency` ADD COLUMN `results` MEDIUMBLOB NULL;
