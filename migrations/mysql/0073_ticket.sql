-- +goose Up
-- Tickets for event streams, until they are used or lapse. viewer is what the token said that one was asked with.
CREATE TABLE `ticket` (
  `digest` BINARY(32) NOT NULL,
  `viewer` TEXT NOT NULL,
  `expires_at` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`digest`),
  KEY `ticket_expiry` (`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
