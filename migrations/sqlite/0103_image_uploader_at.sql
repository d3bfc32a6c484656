-- +goose Up
CREATE INDEX "image_uploader_at" ON "image_uploader" ("account_id", "advisor_id", "at");
