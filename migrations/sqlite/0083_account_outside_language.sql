-- +goose Up
-- The language of what is sent outside the app.
ALTER TABLE "account" ADD COLUMN "outside_language" TEXT NOT NULL DEFAULT 'ZH_CN' CHECK (length("outside_language") <= 32);
