-- +goose Up
-- The codes that WECHAT accounts have already.
INSERT INTO qr_code_waiting (account_id, due_at, code_id)
SELECT q.account_id, 0, q.id FROM qr_code q JOIN account a ON a.id = q.account_id WHERE a.channel = 'WECHAT' AND q.platform_url = '';
