-- +goose Up
-- Events that a webhook's receiver did not take, and what it must be told of others (rule N6).
CREATE TABLE `dead_letter` (
  `account_id` BINARY(16) NOT NULL,
  `webhook_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `cause` VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `epoch` VARBINARY(8) NULL,
  `first_seq` BIGINT NOT NULL DEFAULT 0,
  `last_seq` BIGINT NOT NULL DEFAULT 0,
  `at` BIGINT NOT NULL DEFAULT 0,
  `customer_id` BINARY(16) NULL,
  `subject_id` BINARY(16) NULL,
  `tried_at` BIGINT NOT NULL DEFAULT 0,
  `attempts` INT NOT NULL DEFAULT 0,
  `failure` VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `failed_status` INT NOT NULL DEFAULT 0,
  `failed_at` BIGINT NOT NULL DEFAULT 0,
  `replay_at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `webhook_id`, `id`),
  KEY `dead_letter_age` (`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
