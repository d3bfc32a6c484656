-- +goose Up
-- Followers of whom the platform is to be asked (rules E3, E8), and whether what becomes of them waits for that.
CREATE TABLE `follow_waiting` (
  `account_id` BINARY(16) NOT NULL,
  `customer_id` BINARY(16) NOT NULL,
  `followed_at` BIGINT NOT NULL DEFAULT 0,
  `decides` TINYINT NOT NULL DEFAULT 0,
  `since` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `customer_id`),
  KEY `follow_waiting_order` (`account_id`, `decides` DESC, `since`, `customer_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
