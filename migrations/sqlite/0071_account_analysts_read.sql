-- +goose Up
-- Whether an ANALYST reads free text: messages, nickname, info, openid, unionid.
ALTER TABLE "account" ADD COLUMN "analysts_read_text" INTEGER NOT NULL DEFAULT 0;
