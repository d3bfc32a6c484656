-- +goose Up
-- What a person is an advisor of, whatever the account.
CREATE INDEX "advisor_person" ON "advisor" ("unionid");
