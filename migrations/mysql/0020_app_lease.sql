-- +goose Up
CREATE TABLE `app_lease` (
  `account_id` BINARY(16) NOT NULL,
  `advisor_id` BINARY(16) NOT NULL,
  `node_id` BINARY(16) NOT NULL,
  `renewed_at` BIGINT NOT NULL DEFAULT 0,
  `expires_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `advisor_id`, `node_id`),
  KEY `app_lease_expiry` (`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
