-- +goose Up
-- What was of the thing that an item is about, and what is since. By the key of the thing an erasure finds them.
ALTER TABLE `audit_item`
  ADD COLUMN `before_json` TEXT NOT NULL,
  ADD COLUMN `after_json` TEXT NOT NULL,
  ADD KEY `audit_item_target` (`account_id`, `target_id`);
