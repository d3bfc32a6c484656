-- +goose Up
-- Why a part of an account's platform is not asked until an instant (rule K1).
CREATE TABLE `channel_fault` (
  `account_id` BINARY(16) NOT NULL,
  `api` VARCHAR(32) NOT NULL,
  `code` INT NOT NULL DEFAULT 0,
  `since` BIGINT NOT NULL DEFAULT 0,
  `until_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `api`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
