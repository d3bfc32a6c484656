-- +goose Up
CREATE TABLE "log_epoch" (
  "id" INTEGER NOT NULL DEFAULT 0,
  "epoch" BLOB NOT NULL CHECK (length("epoch") <= 8),
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
