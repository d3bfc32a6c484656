-- +goose Up
CREATE TABLE `import` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `kind` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  `made_by` VARCHAR(300) NOT NULL DEFAULT '',
  `size` BIGINT NOT NULL DEFAULT 0,
  `census` VARCHAR(255) NOT NULL DEFAULT '',
  `job_id` BINARY(16) NULL,
  `deleted_at` BIGINT NOT NULL DEFAULT 0,
  `created_at` BIGINT NOT NULL DEFAULT 0,
  `updated_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `import_job` (`account_id`, `job_id`),
  KEY `import_updated` (`updated_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
