-- +goose Up
-- The oldest binary that may run on this schema; raised by a contracting migration.
INSERT INTO schema_info (id, min_binary) VALUES (1, 1);
