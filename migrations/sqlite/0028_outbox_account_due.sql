-- +goose Up
-- Finds each account's due queues without passing over another's. "outbox_due" stays for the
-- release before this one.
CREATE INDEX "outbox_account_due" ON "outbox" ("account_id", "due_at");
