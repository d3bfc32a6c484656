-- +goose Up
CREATE TABLE `schema_info` (
  `id` INT NOT NULL DEFAULT 0,
  `min_binary` INT NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
