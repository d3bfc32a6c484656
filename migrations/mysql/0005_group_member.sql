-- +goose Up
CREATE TABLE `group_member` (
  `account_id` BINARY(16) NOT NULL,
  `group_id` BINARY(16) NOT NULL,
  `advisor_id` BINARY(16) NOT NULL,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `group_id`, `advisor_id`),
  KEY `group_member_advisor` (`account_id`, `advisor_id`, `group_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
