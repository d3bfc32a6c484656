-- +goose Up
CREATE TABLE "erasure" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "customer_id" BLOB NOT NULL CHECK (length("customer_id") = 16),
  "cause" TEXT NOT NULL DEFAULT '' CHECK (length("cause") <= 32),
  "made_by" TEXT NOT NULL DEFAULT '' CHECK (length("made_by") <= 300),
  "digest" BLOB NOT NULL CHECK (length("digest") <= 32),
  "step" INTEGER NOT NULL DEFAULT 0,
  "place" BLOB NULL CHECK (length("place") = 16),
  "messages" INTEGER NOT NULL DEFAULT 0,
  "changes" INTEGER NOT NULL DEFAULT 0,
  "tags" INTEGER NOT NULL DEFAULT 0,
  "entries" INTEGER NOT NULL DEFAULT 0,
  "begun_at" INTEGER NOT NULL DEFAULT 0,
  "finished_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "customer_id")
) STRICT, WITHOUT ROWID;

CREATE INDEX "erasure_digest" ON "erasure" ("account_id", "digest", "id");

CREATE INDEX "erasure_open" ON "erasure" ("finished_at", "begun_at");
