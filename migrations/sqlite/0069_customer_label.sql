-- +goose Up
ALTER TABLE "customer" ADD COLUMN "bound_label" TEXT NOT NULL DEFAULT '' CHECK (length("bound_label") <= 64);
CREATE INDEX "customer_label" ON "customer" ("account_id", "bound_label", "id");
