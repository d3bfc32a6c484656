-- +goose Up
-- Replaced secrets of webhooks whose time is over are found without reading the others (rule A4).
CREATE INDEX "webhook_rotated" ON "webhook" ("rotated_at");
