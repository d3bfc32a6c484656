-- +goose Up
ALTER TABLE "audit" ADD COLUMN "address" TEXT NOT NULL DEFAULT '' CHECK (length("address") <= 64);
CREATE INDEX "audit_at" ON "audit" ("account_id", "at", "id");
CREATE INDEX "audit_role" ON "audit" ("account_id", "role", "at", "id");
CREATE INDEX "audit_subject" ON "audit" ("account_id", "subject", "at", "id");
CREATE INDEX "audit_action" ON "audit" ("account_id", "action", "at", "id");
CREATE INDEX "audit_target" ON "audit" ("account_id", "target_id", "at", "id");
