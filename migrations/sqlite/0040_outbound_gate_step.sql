-- +goose Up
ALTER TABLE "outbound_gate" ADD COLUMN "step" INTEGER NOT NULL DEFAULT 0;
