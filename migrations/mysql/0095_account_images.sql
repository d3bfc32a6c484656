-- +goose Up
-- The sealed secret that addresses of images are signed with (rule A4), and how many images, and bytes of them, the account keeps.
ALTER TABLE `account` ADD COLUMN `sealed_url_secret` VARBINARY(512) NULL, ADD COLUMN `image_count` INT NOT NULL DEFAULT 0, ADD COLUMN `image_bytes` BIGINT NOT NULL DEFAULT 0;
