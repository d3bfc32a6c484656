-- +goose Up
-- When the person was erased: the row stays for those who count, and nobody is shown it.
ALTER TABLE `customer`
  ADD COLUMN `erased_at` BIGINT NOT NULL DEFAULT 0,
  ADD KEY `customer_unfollowed` (`account_id`, `unfollowed_at`, `id`);
