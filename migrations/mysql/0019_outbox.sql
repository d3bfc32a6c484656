-- +goose Up
CREATE TABLE `outbox` (
  `account_id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `due_at` BIGINT NOT NULL DEFAULT 0,
  `leased_by` BINARY(16) NULL,
  `leased_until` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `customer_id`),
  KEY `outbox_due` (`due_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
