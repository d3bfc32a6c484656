-- +goose Up
CREATE TABLE "job" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "state" TEXT NOT NULL DEFAULT '' CHECK (length("state") <= 32),
  "made_by" TEXT NOT NULL DEFAULT '' CHECK (length("made_by") <= 300),
  "parameters" TEXT NOT NULL,
  "progress" TEXT NOT NULL,
  "total" INTEGER NOT NULL DEFAULT 0,
  "done" INTEGER NOT NULL DEFAULT 0,
  "changed" INTEGER NOT NULL DEFAULT 0,
  "failures" TEXT NOT NULL,
  "kept_items" INTEGER NOT NULL DEFAULT 0,
  "steps" INTEGER NOT NULL DEFAULT 0,
  "due_at" INTEGER NOT NULL DEFAULT 0,
  "leased_by" BLOB NULL CHECK (length("leased_by") = 16),
  "faults" INTEGER NOT NULL DEFAULT 0,
  "error_code" TEXT NOT NULL DEFAULT '' CHECK (length("error_code") <= 32),
  "error_message" TEXT NOT NULL DEFAULT '' CHECK (length("error_message") <= 255),
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "started_at" INTEGER NOT NULL DEFAULT 0,
  "finished_at" INTEGER NOT NULL DEFAULT 0,
  "updated_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "job_due" ON "job" ("state", "due_at");
CREATE INDEX "job_finished" ON "job" ("finished_at");
