-- +goose Up
ALTER TABLE "erasure" ADD COLUMN "avatar_id" BLOB NULL CHECK (length("avatar_id") = 16);

ALTER TABLE "erasure" ADD COLUMN "retry_at" INTEGER NOT NULL DEFAULT 0;

DROP INDEX "erasure_open";

CREATE INDEX "erasure_open" ON "erasure" ("finished_at", "retry_at", "begun_at");
