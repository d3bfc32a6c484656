-- +goose Up
CREATE INDEX "inbound_created" ON "inbound" ("kind", "outcome", "created_at");
