-- +goose Up
-- The address of a customer's picture (rule E8); empty: none.
ALTER TABLE `customer` ADD COLUMN `avatar_url` VARCHAR(512) NOT NULL DEFAULT '';
