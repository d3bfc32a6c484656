-- +goose Up
CREATE TABLE `outreach` (
  `account_id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `no` INT NOT NULL,
  `advisor_id` BINARY(16) NULL,
  `confirmed_at` BIGINT NOT NULL DEFAULT 0,
  `month` INT NOT NULL DEFAULT 0,
  `sent_count` INT NOT NULL DEFAULT 0,
  `out_count` INT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `customer_id`, `no`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
