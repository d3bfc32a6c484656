-- +goose Up
CREATE TABLE "advisor" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "wechat_id" BLOB NULL CHECK (length("wechat_id") <= 64),
  "openid" BLOB NULL CHECK (length("openid") <= 64),
  "unionid" BLOB NULL CHECK (length("unionid") <= 64),
  "external_id" BLOB NULL CHECK (length("external_id") <= 64),
  "nickname" TEXT NOT NULL DEFAULT '' CHECK (length("nickname") <= 16),
  "avatar_url" TEXT NOT NULL DEFAULT '' CHECK (length("avatar_url") <= 512),
  "state" TEXT NOT NULL DEFAULT '' CHECK (length("state") <= 32),
  "presence" TEXT NOT NULL DEFAULT '' CHECK (length("presence") <= 32),
  "invited_at" INTEGER NOT NULL DEFAULT 0,
  "deadline" INTEGER NOT NULL DEFAULT 0,
  "answered_at" INTEGER NOT NULL DEFAULT 0,
  "removed_at" INTEGER NOT NULL DEFAULT 0,
  "rules_version" TEXT NOT NULL DEFAULT '' CHECK (length("rules_version") <= 32),
  "rules_accepted_at" INTEGER NOT NULL DEFAULT 0,
  "customer_count" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "updated_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "wechat_id"),
  UNIQUE ("account_id", "openid"),
  UNIQUE ("account_id", "unionid"),
  UNIQUE ("account_id", "external_id"),
  CONSTRAINT "advisor_check_1" CHECK (customer_count BETWEEN 0 AND 15000),
  CONSTRAINT "advisor_check_2" CHECK (state IN ('PENDING','ACTIVE','REFUSED','EXPIRED','REMOVED')),
  CONSTRAINT "advisor_check_3" CHECK (presence IN ('ONLINE','OFFLINE'))
) STRICT, WITHOUT ROWID;
CREATE INDEX "advisor_state" ON "advisor" ("account_id", "state", "deadline");
CREATE INDEX "advisor_expiry" ON "advisor" ("state", "deadline");
CREATE INDEX "advisor_invited" ON "advisor" ("account_id", "invited_at", "id");
