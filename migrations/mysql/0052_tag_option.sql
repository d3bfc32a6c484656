-- +goose Up
CREATE TABLE `tag_option` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `tag_id` BINARY(16) NOT NULL,
  `name` VARCHAR(32) NOT NULL DEFAULT '',
  `folded_name` VARBINARY(2560) NULL,
  `removed_at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  `updated_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `tag_option_name` (`account_id`, `folded_name`),
  KEY `tag_option_removed` (`removed_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
