-- +goose Up
CREATE TABLE `customer` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `openid` VARBINARY(64) NOT NULL,
  `unionid` VARBINARY(64) NULL,
  `nickname` VARCHAR(64) NOT NULL DEFAULT '',
  `follow_state` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `followed_at` BIGINT NOT NULL DEFAULT 0,
  `unfollowed_at` BIGINT NOT NULL DEFAULT 0,
  `advisor_id` BINARY(16) NULL,
  `bound_at` BIGINT NOT NULL DEFAULT 0,
  `bound_source` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `bound_by` VARCHAR(300) NOT NULL DEFAULT '',
  `suspended_at` BIGINT NOT NULL DEFAULT 0,
  `last_interaction_at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  `updated_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `customer_openid` (`account_id`, `openid`),
  KEY `customer_advisor` (`account_id`, `advisor_id`, `bound_at`, `id`),
  KEY `customer_unionid` (`account_id`, `unionid`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
