-- +goose Up
CREATE TABLE `customer_tag` (
  `account_id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `option_id` BINARY(16) NOT NULL,
  `advisor_id` BINARY(16) NULL,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `customer_id`, `option_id`),
  KEY `customer_tag_option` (`account_id`, `option_id`, `customer_id`),
  KEY `customer_tag_advisor` (`account_id`, `advisor_id`, `option_id`, `customer_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
