-- +goose Up
CREATE TABLE `log_epoch` (
  `id` INT NOT NULL DEFAULT 0,
  `epoch` VARBINARY(8) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
