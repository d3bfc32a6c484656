-- +goose Up
-- The number with which the platform refused to know a code when it was last told of it; 0: it did not.
ALTER TABLE "qr_code" ADD COLUMN "refusal" INTEGER NOT NULL DEFAULT 0;
