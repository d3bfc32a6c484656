-- +goose Up
-- Files in object storage that belong to no image, not yet or not any more, and from when on they are deleted.
CREATE TABLE "image_file" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "due_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "image_file_due" ON "image_file" ("due_at");
