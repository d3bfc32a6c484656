-- +goose Up
CREATE TABLE "import_part" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "import_id" BLOB NOT NULL CHECK (length("import_id") = 16),
  "begins" INTEGER NOT NULL DEFAULT 0,
  "data" BLOB NOT NULL,
  PRIMARY KEY ("account_id", "import_id", "begins")
) STRICT, WITHOUT ROWID;
