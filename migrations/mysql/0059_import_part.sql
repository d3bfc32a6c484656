-- +goose Up
CREATE TABLE `import_part` (
  `account_id` BINARY(16) NOT NULL,
  `import_id` BINARY(16) NOT NULL,
  `begins` BIGINT NOT NULL DEFAULT 0,
  `data` MEDIUMBLOB NOT NULL,
  PRIMARY KEY (`account_id`, `import_id`, `begins`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
