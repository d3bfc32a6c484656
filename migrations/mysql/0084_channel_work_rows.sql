-- +goose Up
-- What makes nodes tell of them.
INSERT INTO channel_work (account_id, api, due_at, leased_by)
SELECT DISTINCT account_id, 'QR_CODES', 0, X'00000000000000000000000000000000' FROM qr_code_waiting;
