-- +goose Up
CREATE TABLE "import" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "kind" TEXT NOT NULL DEFAULT '' CHECK (length("kind") <= 32),
  "made_by" TEXT NOT NULL DEFAULT '' CHECK (length("made_by") <= 300),
  "size" INTEGER NOT NULL DEFAULT 0,
  "census" TEXT NOT NULL DEFAULT '' CHECK (length("census") <= 255),
  "job_id" BLOB NULL CHECK (length("job_id") = 16),
  "deleted_at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "updated_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id")
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX "import_job" ON "import" ("account_id", "job_id");

CREATE INDEX "import_updated" ON "import" ("updated_at");
