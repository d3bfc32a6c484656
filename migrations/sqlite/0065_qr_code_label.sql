-- +goose Up
ALTER TABLE "qr_code" RENAME TO "qr_code_former";
CREATE TABLE "qr_code" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "scene" BLOB NOT NULL CHECK (length("scene") <= 64),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "owner_id" BLOB NOT NULL CHECK (length("owner_id") = 16),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "own" INTEGER NULL DEFAULT 1,
  "label" TEXT NOT NULL DEFAULT '' CHECK (length("label") <= 64),
  "expires_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "scene"),
  UNIQUE ("account_id", "owner_id", "own"),
  CONSTRAINT "qr_code_check_1" CHECK (kind IN ('ADVISOR','GROUP'))
) STRICT, WITHOUT ROWID;
INSERT INTO "qr_code" ("account_id", "id", "scene", "kind", "owner_id", "created_at")
  SELECT "account_id", "id", "scene", "kind", "owner_id", "created_at" FROM "qr_code_former";
DROP TABLE "qr_code_former";
CREATE INDEX "qr_code_owned" ON "qr_code" ("account_id", "owner_id", "id");
CREATE INDEX "qr_code_label" ON "qr_code" ("account_id", "label", "id");
CREATE INDEX "qr_code_expires" ON "qr_code" ("expires_at") WHERE "expires_at" > 0;
