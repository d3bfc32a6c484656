-- +goose Up
CREATE TABLE `revocation` (
  `account_id` BINARY(16) NOT NULL,
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `name` VARBINARY(255) NOT NULL,
  `issued_before` BIGINT NOT NULL DEFAULT 0,
  `expires_at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `kind`, `name`),
  KEY `revocation_expiry` (`expires_at`),
  CONSTRAINT `revocation_check_1` CHECK (kind IN ('TOKEN','SUBJECT','ADVISOR'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
