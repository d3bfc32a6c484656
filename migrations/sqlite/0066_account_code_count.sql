-- +goose Up
ALTER TABLE "account" ADD COLUMN "code_count" INTEGER NOT NULL DEFAULT 0;
