-- +goose Up
CREATE TABLE "sweep" (
  "name" TEXT NOT NULL DEFAULT '' CHECK (length("name") <= 32),
  "leased_by" BLOB NULL CHECK (length("leased_by") = 16),
  "leased_until" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
