-- +goose Up
-- Files in object storage that belong to no image, not yet or not any more, and from when on they are deleted.
CREATE TABLE `image_file` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `due_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  KEY `image_file_due` (`due_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
