-- +goose Up
-- What a person is an advisor of, whatever the account.
ALTER TABLE `advisor` ADD KEY `advisor_person` (`unionid`);
