-- +goose Up
-- A job that has ended forgets what it was asked for and where it was (rule E13).
UPDATE `job` SET `parameters` = '', `progress` = '' WHERE `finished_at` > 0;
