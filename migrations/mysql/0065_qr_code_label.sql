-- +goose Up
ALTER TABLE `qr_code`
  ADD COLUMN `own` TINYINT NULL DEFAULT 1,
  ADD COLUMN `label` VARCHAR(64) NOT NULL DEFAULT '',
  ADD COLUMN `expires_at` BIGINT NOT NULL DEFAULT 0,
  ADD KEY `qr_code_owned` (`account_id`, `owner_id`, `id`),
  ADD UNIQUE KEY `qr_code_own` (`account_id`, `owner_id`, `own`),
  DROP KEY `qr_code_owner`,
  ADD KEY `qr_code_label` (`account_id`, `label`, `id`),
  ADD KEY `qr_code_expires` (`expires_at`);
