-- +goose Up
CREATE INDEX "binding_advisor" ON "binding" ("account_id", "advisor_id", "id");
