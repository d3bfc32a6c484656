-- +goose Up
-- Which advisors uploaded an image, so that they may see it (rule V2).
CREATE TABLE `image_uploader` (
  `account_id` BINARY(16) NOT NULL,
  `image_id` BINARY(16) NOT NULL,
  `advisor_id` BINARY(16) NOT NULL,
  `at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`account_id`, `image_id`, `advisor_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
