-- +goose Up
-- What is to be asked of accounts' platforms beside jobs and messages (rule K1): a row while something waits.
CREATE TABLE `channel_work` (
  `account_id` BINARY(16) NOT NULL,
  `api` VARCHAR(32) NOT NULL,
  `due_at` BIGINT NOT NULL DEFAULT 0,
  `leased_by` BINARY(16) NULL,
  `attempts` INT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `api`),
  KEY `channel_work_due` (`due_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
