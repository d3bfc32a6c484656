-- +goose Up
UPDATE "conversation" SET "last_interaction_at" = (
  SELECT c."last_interaction_at" FROM "customer" c
  WHERE c."account_id" = "conversation"."account_id" AND c."id" = "conversation"."customer_id"
);
