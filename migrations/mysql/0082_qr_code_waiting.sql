-- +goose Up
-- Codes of which the platform is to be told (rule C1), and from when on.
CREATE TABLE `qr_code_waiting` (
  `account_id` BINARY(16) NOT NULL,
  `due_at` BIGINT NOT NULL DEFAULT 0,
  `code_id` BINARY(16) NOT NULL,
  PRIMARY KEY (`account_id`, `due_at`, `code_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
