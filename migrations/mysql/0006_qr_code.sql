-- +goose Up
CREATE TABLE `qr_code` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `scene` VARBINARY(64) NOT NULL,
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `owner_id` BINARY(16) NOT NULL,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `qr_code_scene` (`account_id`, `scene`),
  UNIQUE KEY `qr_code_owner` (`account_id`, `owner_id`),
  CONSTRAINT `qr_code_check_1` CHECK (kind IN ('ADVISOR','GROUP'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
