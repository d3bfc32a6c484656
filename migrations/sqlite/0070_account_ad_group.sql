-- +goose Up
-- Whose members get those who follow through an advertisement that names no group; NULL: nobody.
ALTER TABLE "account" ADD COLUMN "ad_group_id" BLOB NULL CHECK (length("ad_group_id") = 16);
