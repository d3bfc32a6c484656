-- +goose Up
-- The address of a customer's picture (rule E8); empty: none.
ALTER TABLE "customer" ADD COLUMN "avatar_url" TEXT NOT NULL DEFAULT '' CHECK (length("avatar_url") <= 512);
