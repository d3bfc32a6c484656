-- +goose Up
ALTER TABLE `customer`
  ADD COLUMN `bound_label` VARCHAR(64) NOT NULL DEFAULT '',
  ADD KEY `customer_label` (`account_id`, `bound_label`, `id`);
