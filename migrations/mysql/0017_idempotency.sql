-- +goose Up
CREATE TABLE `idempotency` (
  `account_id` BINARY(16) NOT NULL,
  `subject` VARBINARY(96) NOT NULL,
  `idem_key` VARBINARY(64) NOT NULL,
  `body_hash` VARBINARY(32) NOT NULL,
  `result_id` BINARY(16) NULL,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `subject`, `idem_key`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
