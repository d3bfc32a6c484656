-- +goose Up
-- What an account's platform is asked with until it expires (rule K1), sealed, and who asks for the next.
CREATE TABLE `access_token` (
  `account_id` BINARY(16) NOT NULL,
  `sealed` VARBINARY(2048) NULL,
  `renew_at` BIGINT NOT NULL DEFAULT 0,
  `expires_at` BIGINT NOT NULL DEFAULT 0,
  `leased_until` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
