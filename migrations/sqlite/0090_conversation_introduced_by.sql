-- +goose Up
-- The advisor whose nickname stood before a text last (rule B4).
ALTER TABLE "conversation" ADD COLUMN "introduced_by" BLOB NULL CHECK (length("introduced_by") = 16);
