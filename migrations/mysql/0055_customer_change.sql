-- +goose Up
CREATE TABLE `customer_change` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `field` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `was` TEXT NOT NULL,
  `became` TEXT NOT NULL,
  `made_by` VARCHAR(300) NOT NULL DEFAULT '',
  `at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  KEY `customer_change_at` (`account_id`, `at`, `id`),
  KEY `customer_change_customer` (`account_id`, `customer_id`, `at`, `id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
