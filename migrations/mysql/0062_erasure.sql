-- +goose Up
CREATE TABLE `erasure` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `cause` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `made_by` VARCHAR(300) NOT NULL DEFAULT '',
  `digest` VARBINARY(32) NOT NULL,
  `step` INT NOT NULL DEFAULT 0,
  `place` BINARY(16) NULL,
  `messages` BIGINT NOT NULL DEFAULT 0,
  `changes` BIGINT NOT NULL DEFAULT 0,
  `tags` BIGINT NOT NULL DEFAULT 0,
  `entries` BIGINT NOT NULL DEFAULT 0,
  `begun_at` BIGINT NOT NULL DEFAULT 0,
  `finished_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `erasure_customer` (`account_id`, `customer_id`),
  KEY `erasure_digest` (`account_id`, `digest`, `id`),
  KEY `erasure_open` (`finished_at`, `begun_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
