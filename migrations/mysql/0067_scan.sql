-- +goose Up
CREATE TABLE `scan` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `code_id` BINARY(16) NULL,
  `scene` VARBINARY(64) NOT NULL,
  `label` VARCHAR(64) NOT NULL DEFAULT '',
  `follows` TINYINT NOT NULL DEFAULT 0,
  `outcome` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `advisor_id` BINARY(16) NULL,
  `at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  KEY `scan_customer` (`account_id`, `customer_id`, `id`),
  KEY `scan_label` (`account_id`, `label`, `id`),
  KEY `scan_code` (`account_id`, `code_id`, `id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
