-- +goose Up
CREATE TABLE `stream` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `head` BIGINT NOT NULL DEFAULT 0,
  `floor_seq` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  CONSTRAINT `stream_check_1` CHECK (floor_seq BETWEEN 0 AND head)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
