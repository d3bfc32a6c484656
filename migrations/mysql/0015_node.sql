-- +goose Up
CREATE TABLE `node` (
  `id` BINARY(16) NOT NULL,
  `beat_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
