-- +goose Up
-- Tickets for event streams, until they are used or lapse. viewer is what the token said that one was asked with.
CREATE TABLE "ticket" (
  "digest" BLOB NOT NULL CHECK (length("digest") = 32),
  "viewer" TEXT NOT NULL,
  "expires_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("digest")
) STRICT, WITHOUT ROWID;
CREATE INDEX "ticket_expiry" ON "ticket" ("expires_at");
