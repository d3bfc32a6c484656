-- +goose Up
-- How many images an advisor uploaded in the past day (rule H6).
ALTER TABLE `image_uploader` ADD KEY `image_uploader_at` (`account_id`, `advisor_id`, `at`);
