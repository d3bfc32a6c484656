-- +goose Up
-- Events of accounts' streams that have no number yet: the relay moves them to `event`.
CREATE TABLE `account_event` (
  `account_id` BINARY(16) NOT NULL,
  `no` BIGINT NOT NULL AUTO_INCREMENT,
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `at` BIGINT NOT NULL DEFAULT 0,
  `customer_id` BINARY(16) NULL,
  `subject_id` BINARY(16) NULL,
  PRIMARY KEY (`account_id`, `no`),
  UNIQUE KEY `account_event_no` (`no`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
