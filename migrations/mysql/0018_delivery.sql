-- +goose Up
CREATE TABLE `delivery` (
  `account_id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `message_id` BINARY(16) NOT NULL,
  `state` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `attempts` INT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `customer_id`, `message_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
