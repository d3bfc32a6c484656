-- +goose Up
CREATE TABLE `outbound_gate` (
  `account_id` BINARY(16) NOT NULL,
  `failures` INT NOT NULL DEFAULT 0,
  `since` BIGINT NOT NULL DEFAULT 0,
  `paused_until` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
