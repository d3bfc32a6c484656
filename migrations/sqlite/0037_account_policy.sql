-- +goose Up
ALTER TABLE "account" ADD COLUMN "policy_overrides" TEXT NOT NULL DEFAULT '' CHECK (length("policy_overrides") <= 1024);
ALTER TABLE "account" ADD COLUMN "mass_head" INTEGER NOT NULL DEFAULT 0;
