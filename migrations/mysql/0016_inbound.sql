-- +goose Up
CREATE TABLE `inbound` (
  `account_id` BINARY(16) NOT NULL,
  `dedup_key` VARBINARY(191) NOT NULL,
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `name` VARCHAR(64) NOT NULL DEFAULT '',
  `customer_id` BINARY(16) NULL,
  `scene` VARBINARY(64) NULL,
  `outcome` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `advisor_id` BINARY(16) NULL,
  `at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `dedup_key`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
