-- +goose Up
-- What a code's picture says, as the platform answered (rule C1); empty: it does not know the code.
ALTER TABLE `qr_code` ADD COLUMN `platform_url` VARCHAR(512) NOT NULL DEFAULT '';
