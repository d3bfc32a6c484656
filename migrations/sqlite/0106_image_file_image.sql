-- +goose Up
-- Of which image a file is that is being given back, where that is not the row's own key.
ALTER TABLE "image_file" ADD COLUMN "image_id" BLOB NULL CHECK (length("image_id") = 16);
CREATE INDEX "image_file_image" ON "image_file" ("account_id", "image_id") WHERE "image_id" IS NOT NULL;
