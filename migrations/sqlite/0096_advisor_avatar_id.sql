-- +goose Up
-- An advisor's picture among the images (rule H6).
ALTER TABLE "advisor" ADD COLUMN "avatar_id" BLOB NULL CHECK (length("avatar_id") = 16);
