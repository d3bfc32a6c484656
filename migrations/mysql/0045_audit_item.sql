-- +goose Up
CREATE TABLE `audit_item` (
  `account_id` BINARY(16) NOT NULL,
  `audit_id` BINARY(16) NOT NULL,
  `no` INT NOT NULL DEFAULT 0,
  `target_id` BINARY(16) NULL,
  `outcome` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  PRIMARY KEY (`account_id`, `audit_id`, `no`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
