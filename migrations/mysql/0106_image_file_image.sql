-- +goose Up
-- Of which image a file is that is being given back, where that is not the row's own key.
ALTER TABLE `image_file` ADD COLUMN `image_id` BINARY(16) NULL, ADD KEY `image_file_image` (`account_id`, `image_id`);
