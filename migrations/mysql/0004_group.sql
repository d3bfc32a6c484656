-- +goose Up
CREATE TABLE `advisor_group` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `name` VARCHAR(32) NOT NULL DEFAULT '',
  `folded_name` VARCHAR(640) NOT NULL DEFAULT '',
  `member_count` INT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  `updated_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `advisor_group_name` (`account_id`, `folded_name`),
  CONSTRAINT `advisor_group_check_1` CHECK (member_count BETWEEN 0 AND 200)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
