-- +goose Up
ALTER TABLE "idempotency" ADD COLUMN "results" BLOB NULL;
