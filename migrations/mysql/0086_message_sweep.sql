-- +goose Up
-- How far the messages of an account have been looked through for those that are too old.
CREATE TABLE `message_sweep` (
  `account_id` BINARY(16) NOT NULL,
  `up_to` BINARY(16) NULL,
  `again` BINARY(16) NULL,
  PRIMARY KEY (`account_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
