-- +goose Up
CREATE TABLE "node" (
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "beat_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
