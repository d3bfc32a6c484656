-- +goose Up
-- Images that an account keeps (rule H6). Their bytes are files in object storage.
CREATE TABLE `image` (
  `account_id` BINARY(16) NOT NULL,
  `id` BINARY(16) NOT NULL,
  `hash` BINARY(32) NOT NULL,
  `image_type` VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `width` INT NOT NULL,
  `height` INT NOT NULL,
  `byte_count` BIGINT NOT NULL,
  `uses` BIGINT NOT NULL DEFAULT 0,
  `unused_since` BIGINT NOT NULL DEFAULT 0,
  `made_by` VARCHAR(300) NOT NULL DEFAULT '',
  `created_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `id`),
  UNIQUE KEY `image_hash` (`account_id`, `hash`),
  KEY `image_unused` (`unused_since`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
