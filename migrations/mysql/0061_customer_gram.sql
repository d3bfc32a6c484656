-- +goose Up
CREATE TABLE `customer_gram` (
  `account_id` BINARY(16) NOT NULL,
  `gram` VARBINARY(8) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  PRIMARY KEY (`account_id`, `gram`, `customer_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
