-- +goose Up
-- The sealed app secret of a WECHAT account (rule A4); empty: none.
ALTER TABLE `account` ADD COLUMN `sealed_app_secret` VARBINARY(512) NULL;
