-- +goose Up
CREATE TABLE `job_item` (
  `account_id` BINARY(16) NOT NULL,
  `job_id` BINARY(16) NOT NULL,
  `no` BIGINT NOT NULL DEFAULT 0,
  `target_id` BINARY(16) NULL,
  `code` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `message` VARCHAR(255) NOT NULL DEFAULT '',
  `field` VARCHAR(64) NOT NULL DEFAULT '',
  PRIMARY KEY (`account_id`, `job_id`, `no`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
