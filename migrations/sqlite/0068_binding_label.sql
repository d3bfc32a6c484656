-- +goose Up
ALTER TABLE "binding" ADD COLUMN "label" TEXT NOT NULL DEFAULT '' CHECK (length("label") <= 64);
