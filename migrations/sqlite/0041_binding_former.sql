-- +goose Up
ALTER TABLE "binding" ADD COLUMN "former_id" BLOB NULL CHECK (length("former_id") = 16);
