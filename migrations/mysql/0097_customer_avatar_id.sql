-- +goose Up
-- A customer's picture among the images (rule H6).
ALTER TABLE `customer` ADD COLUMN `avatar_id` BINARY(16) NULL;
