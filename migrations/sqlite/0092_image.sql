-- +goose Up
-- Images that an account keeps (rule H6). Their bytes are files in object storage.
CREATE TABLE "image" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "hash" BLOB NOT NULL CHECK (length("hash") = 32),
  "image_type" TEXT NOT NULL CHECK (length("image_type") <= 8),
  "width" INTEGER NOT NULL,
  "height" INTEGER NOT NULL,
  "byte_count" INTEGER NOT NULL,
  "uses" INTEGER NOT NULL DEFAULT 0,
  "unused_since" INTEGER NOT NULL DEFAULT 0,
  "made_by" TEXT NOT NULL DEFAULT '' CHECK (length("made_by") <= 300),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX "image_hash" ON "image" ("account_id", "hash");
CREATE INDEX "image_unused" ON "image" ("unused_since");
