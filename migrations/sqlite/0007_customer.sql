-- +goose Up
CREATE TABLE "customer" (
  "account_id" BLOB NOT NULL CHECK (length("account_id") = 16),
  "id" BLOB NOT NULL CHECK (length("id") = 16),
  "openid" BLOB NOT NULL CHECK (length("openid") <= 64),
  "unionid" BLOB NULL CHECK (length("unionid") <= 64),
  "nickname" TEXT NOT NULL DEFAULT '' CHECK (length("nickname") <= 64),
  "follow_state" TEXT NOT NULL DEFAULT '' CHECK (length("follow_state") <= 32),
  "followed_at" INTEGER NOT NULL DEFAULT 0,
  "unfollowed_at" INTEGER NOT NULL DEFAULT 0,
  "advisor_id" BLOB NULL CHECK (length("advisor_id") = 16),
  "bound_at" INTEGER NOT NULL DEFAULT 0,
  "bound_source" TEXT NOT NULL DEFAULT '' CHECK (length("bound_source") <= 32),
  "bound_by" TEXT NOT NULL DEFAULT '' CHECK (length("bound_by") <= 300),
  "suspended_at" INTEGER NOT NULL DEFAULT 0,
  "last_interaction_at" INTEGER NOT NULL DEFAULT 0,
  "created_at" INTEGER NOT NULL DEFAULT 0,
  "updated_at" INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY ("account_id", "id"),
  UNIQUE ("account_id", "openid")
) STRICT, WITHOUT ROWID;
CREATE INDEX "customer_advisor" ON "customer" ("account_id", "advisor_id", "bound_at", "id");
CREATE INDEX "customer_unionid" ON "customer" ("account_id", "unionid");
