-- +goose Up
ALTER TABLE `audit`
  ADD COLUMN `address` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ADD KEY `audit_at` (`account_id`, `at`, `id`),
  ADD KEY `audit_role` (`account_id`, `role`, `at`, `id`),
  ADD KEY `audit_subject` (`account_id`, `subject`, `at`, `id`),
  ADD KEY `audit_action` (`account_id`, `action`, `at`, `id`),
  ADD KEY `audit_target` (`account_id`, `target_id`, `at`, `id`);
