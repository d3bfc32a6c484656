-- +goose Up
-- The sealed secret that addresses of images are signed with (rule A4), and how many images, and bytes of them, the account keeps.
ALTER TABLE "account" ADD COLUMN "sealed_url_secret" BLOB NULL CHECK (length("sealed_url_secret") <= 512);
ALTER TABLE "account" ADD COLUMN "image_count" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "account" ADD COLUMN "image_bytes" INTEGER NOT NULL DEFAULT 0;
