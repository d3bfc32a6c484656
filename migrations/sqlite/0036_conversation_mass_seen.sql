-- +goose Up
ALTER TABLE "conversation" ADD COLUMN "mass_seen" INTEGER NOT NULL DEFAULT 0;
