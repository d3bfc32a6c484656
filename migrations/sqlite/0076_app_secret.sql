-- +goose Up
-- The sealed app secret of a WECHAT account (rule A4); empty: none.
ALTER TABLE "account" ADD COLUMN "sealed_app_secret" BLOB NULL CHECK (length("sealed_app_secret") <= 512);
