-- +goose Up
-- Which advisors uploaded an image, so that they may see it (rule V2).
CREATE TABLE "image_uploader" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "image_id" BLOB NOT NULL CHECK (length("image_id") = 16),
  "advisor_id" BLOB NOT NULL CHECK (length("advisor_id") = 16),
  "at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "image_id", "advisor_id")
) STRICT, WITHOUT ROWID;
