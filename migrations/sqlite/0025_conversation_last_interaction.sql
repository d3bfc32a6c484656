-- +goose Up
ALTER TABLE "conversation" ADD COLUMN "last_interaction_at" INTEGER NOT NULL DEFAULT 0;
