-- +goose Up
CREATE INDEX "binding_former" ON "binding" ("account_id", "former_id", "id");
