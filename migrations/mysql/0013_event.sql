-- +goose Up
CREATE TABLE `event` (
  `account_id` BINARY(16) NOT NULL,
  `stream_id` BINARY(16) NOT NULL,
  `seq` BIGINT NOT NULL DEFAULT 0,
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `at` BIGINT NOT NULL DEFAULT 0,
  `customer_id` BINARY(16) NULL,
  `message_id` BINARY(16) NULL,
  `notification_id` BINARY(16) NULL,
  PRIMARY KEY (`account_id`, `stream_id`, `seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
