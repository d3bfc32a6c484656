-- +goose Up
CREATE TABLE `mass_send` (
  `account_id` BINARY(16) NOT NULL,
  `send_key` VARBINARY(64) NOT NULL,
  `no` INT NOT NULL DEFAULT 0,
  `at` BIGINT NOT NULL DEFAULT 0,
  `month` INT NOT NULL DEFAULT 0,
  `body_hash` VARBINARY(32) NOT NULL,
  `total` INT NOT NULL DEFAULT 0,
  `done` INT NOT NULL DEFAULT 0,
  `counted` INT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `send_key`),
  KEY `mass_send_no` (`account_id`, `no`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
