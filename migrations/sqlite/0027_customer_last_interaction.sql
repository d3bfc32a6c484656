-- +goose Up
ALTER TABLE "customer" DROP COLUMN "last_interaction_at";
