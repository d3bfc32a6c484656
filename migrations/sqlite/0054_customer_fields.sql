-- +goose Up
ALTER TABLE "customer" ADD COLUMN "info" TEXT NOT NULL DEFAULT '' CHECK (length("info") <= 2019);
ALTER TABLE "customer" ADD COLUMN "country" TEXT NOT NULL DEFAULT '' CHECK (length("country") <= 64);
ALTER TABLE "customer" ADD COLUMN "province" TEXT NOT NULL DEFAULT '' CHECK (length("province") <= 64);
ALTER TABLE "customer" ADD COLUMN "city" TEXT NOT NULL DEFAULT '' CHECK (length("city") <= 64);
