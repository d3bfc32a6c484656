package store

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/internal/relay"
	"clientele/models"
)

// DueWebhooks reads webhooks that are due, those that have waited longest first: of receivers that are tried, or of the others; not of
// these accounts. It is one of the named exceptions to "every query takes the account": each is then claimed in a transaction of its account.
func (r *Reader) DueWebhooks(now models.Time, trying bool, without []models.Key, most int) ([]*models.Webhook, error) {
	return find[models.Webhook](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("trying = ? AND due_at <= ?", trying, now)
		if len(without) > 0 {
			db = db.Where("account_id NOT IN ?", without)
		}
		return db.Order("due_at").Limit(most)
	})
}

// Webhooks reads an account's, the earliest first.
func (r *Reader) Webhooks(account models.Key) ([]*models.Webhook, error) {
	return ask[models.Webhook](r, "SELECT * FROM webhook WHERE account_id = ? ORDER BY created_at, id", account[:])
}

// WebhooksByKeys reads webhooks by key; unknown ones are left out.
func (r *Reader) WebhooksByKeys(account models.Key, keys []models.Key) ([]*models.Webhook, error) {
	return byKeys[models.Webhook](r, account, "id", keys)
}

// LockWebhook reads and locks one; ErrNotFound when there is none.
func (tx *Tx) LockWebhook(key models.Key) (*models.Webhook, error) {
	tx.enter(phaseRows)
	return first[models.Webhook](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id = ?", tx.Account, key)
	})
}

// LockWebhooks reads and locks all of the account.
func (tx *Tx) LockWebhooks() ([]*models.Webhook, error) {
	tx.enter(phaseRows)
	return find[models.Webhook](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ?", tx.Account).Order("id")
	})
}

// tellWebhooks has the account's idle webhooks become due that ask for one of these events, which follow a number of the locked stream. It
// waits for who has locked one: so whether it is idle is decided before these events or with them.
func (tx *Tx) tellWebhooks(after int64, events []*models.AccountEvent) error {
	rows, err := tx.LockWebhooks()
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(w *models.Webhook) bool { return !w.Meets(after, events, tx.Now) })
	if len(rows) == 0 {
		return nil
	}
	return upsert(tx, rows, "position", "due_at")
}

// InsertWebhook writes a new one of an account that is locked, and whose stream is.
func (tx *Tx) InsertWebhook(w *models.Webhook) error { return insert(tx, []*models.Webhook{w}) }

// PutWebhook writes a locked one as it is.
func (tx *Tx) PutWebhook(w *models.Webhook) error { return tx.PutWebhooks([]*models.Webhook{w}) }

// PutWebhooks writes locked ones as they are.
func (tx *Tx) PutWebhooks(rows []*models.Webhook) error {
	if len(rows) == 0 {
		return nil
	}
	return upsert(tx, rows, webhookColumns...)
}

// webhookColumns is what of a webhook may change.
var webhookColumns = []string{
	"name", "url", "revision", "replays_at", "kinds", "kinds_after", "state", "sealed_secret", "sealed_old", "rotated_at", "position", "epoch", "due_at", "leased_by", "retry_at", "failures",
	"tried_at", "attempts", "notice", "notice_id", "notice_from", "notice_to", "notice_at", "replaying", "test_id", "test_at", "tested_at", "test_failure", "test_status",
	"succeeded_at", "trying", "failing_since", "failed_at", "failure", "failed_status", "updated_at",
}

// OldWebhookSecrets reads keys of webhooks, of any account, whose secret was replaced at an instant or before and is still there, the
// longest ago first.
func (r *Reader) OldWebhookSecrets(until models.Time, most int) ([]*models.Webhook, error) {
	return find[models.Webhook](r, func(db *gorm.DB) *gorm.DB {
		return db.Select("account_id", "id", "rotated_at").Where("rotated_at > 0 AND rotated_at <= ?", until).Order("rotated_at").Limit(most)
	})
}

// DropWebhookSecrets drops the replaced secrets of these webhooks of the account whose secret was not replaced anew since an instant.
func (tx *Tx) DropWebhookSecrets(rows []*models.Webhook, until models.Time) error {
	tx.enter(phaseRows)
	keys := make([]models.Key, len(rows))
	for i, w := range rows {
		keys[i] = w.Key
	}
	args := append([]any{int64(until)}, keyArgs(tx.Account, sorted(keys))...)
	return tx.exec("UPDATE webhook SET sealed_old = NULL, rotated_at = 0 WHERE rotated_at <= ? AND account_id = ? AND id IN ("+marks(len(keys))+")", args)
}

// DeleteWebhook deletes a locked one with its dead letters.
func (tx *Tx) DeleteWebhook(key models.Key) error {
	tx.enter(phaseRows)
	if err := tx.exec("DELETE FROM dead_letter WHERE account_id = ? AND webhook_id = ?", []any{tx.Account[:], key[:]}); err != nil {
		return err
	}
	return tx.exec("DELETE FROM webhook WHERE account_id = ? AND id = ?", []any{tx.Account[:], key[:]})
}

// DeadLetterPage reads a page of a webhook's dead letters, newest first.
func (r *Reader) DeadLetterPage(account, webhook models.Key, p relay.Page) ([]*models.DeadLetter, error) {
	return find[models.DeadLetter](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ? AND webhook_id = ?", account, webhook)
		if p.After != nil {
			db = db.Where("id < ?", models.Key(p.After.Key))
		}
		return db.Order("id DESC").Limit(p.First + 1)
	})
}

// CountDeadLetters counts the dead letters of webhooks, in one statement.
func (r *Reader) CountDeadLetters(account models.Key, webhooks []models.Key) (map[models.Key]int, error) {
	type counted struct {
		WebhookID models.Key `gorm:"column:webhook_id"`
		N         int        `gorm:"column:n"`
	}
	counts := make(map[models.Key]int, len(webhooks))
	if len(webhooks) == 0 {
		return counts, nil
	}
	rows, err := scan[counted](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.DeadLetter{}).Select("webhook_id, COUNT(*) AS n").Where("account_id = ? AND webhook_id IN ?", account, webhooks).Group("webhook_id")
	})
	for _, row := range rows {
		counts[row.WebhookID] = row.N
	}
	return counts, err
}

// NextDeadLetter is a key for the next dead letter of a locked webhook: behind all it has, whatever the nodes' clocks say.
func (tx *Tx) NextDeadLetter(webhook models.Key) (models.Key, error) {
	last, err := scan[models.Key](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.DeadLetter{}).Select("id").Where("account_id = ? AND webhook_id = ?", tx.Account, webhook).Order("id DESC").Limit(1)
	})
	if err != nil || len(last) == 0 {
		return models.NewKey(), err
	}
	return models.KeyAfter(last[0]), nil
}

// InsertDeadLetter writes one of a locked webhook, of which the newest `most` stay.
func (tx *Tx) InsertDeadLetter(d *models.DeadLetter, most int) error {
	if err := insert(tx, []*models.DeadLetter{d}); err != nil {
		return err
	}
	old, err := scan[models.Key](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.DeadLetter{}).Select("id").Where("account_id = ? AND webhook_id = ?", tx.Account, d.WebhookID).Order("id DESC").Offset(most).Limit(1)
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return tx.exec("DELETE FROM dead_letter WHERE account_id = ? AND webhook_id = ? AND id <= ?", []any{tx.Account[:], d.WebhookID[:], old[0][:]})
}

// WidenDeadLetter has one of a locked webhook tell of events up to a number; false when it is not there any more.
func (tx *Tx) WidenDeadLetter(webhook, key models.Key, last int64) (bool, error) {
	tx.enter(phaseRows)
	n, err := tx.affect("UPDATE dead_letter SET last_seq = ? WHERE account_id = ? AND webhook_id = ? AND id = ?", []any{last, tx.Account[:], webhook[:], key[:]})
	return n > 0, err
}

// ReplayDeadLetters asks for events among a locked webhook's dead letters to be sent again, these or all; it answers how many wait by
// this call.
func (tx *Tx) ReplayDeadLetters(webhook models.Key, keys []models.Key) (int, error) {
	tx.enter(phaseRows)
	where, args := "", []any{int64(tx.Now), tx.Account[:], webhook[:], models.DeadLetterFailed}
	if keys != nil {
		where = " AND id IN (" + marks(len(keys)) + ")"
		args = append(args, keyArgs(tx.Account, keys)[1:]...)
	}
	return tx.affect("UPDATE dead_letter SET replay_at = ? WHERE account_id = ? AND webhook_id = ? AND cause = ? AND replay_at = 0"+where, args)
}

// DeadLetters reads dead letters of a webhook by key; unknown ones are left out.
func (r *Reader) DeadLetters(account, webhook models.Key, keys []models.Key) ([]*models.DeadLetter, error) {
	return find[models.DeadLetter](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND webhook_id = ? AND id IN ?", account, webhook, keys).Order("id")
	})
}

// ReplayingDeadLetters reads what waits to be sent again of a webhook, in the order of its events.
func (r *Reader) ReplayingDeadLetters(account, webhook models.Key, most int) ([]*models.DeadLetter, error) {
	return find[models.DeadLetter](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND webhook_id = ? AND replay_at > 0", account, webhook).Order("id").Limit(most)
	})
}

// RestDeadLetter writes a dead letter that was sent again in vain, if it is still there.
func (tx *Tx) RestDeadLetter(d *models.DeadLetter) error {
	tx.enter(phaseRows)
	return tx.exec("UPDATE dead_letter SET replay_at = 0, attempts = ?, failure = ?, failed_status = ?, failed_at = ? WHERE account_id = ? AND webhook_id = ? AND id = ?",
		[]any{d.Attempts, string(d.Failure), d.FailedStatus, int64(d.FailedAt), tx.Account[:], d.WebhookID[:], d.Key[:]})
}

// OldDeadLetters reads keys of dead letters, of any account, made before an instant, the oldest first.
func (r *Reader) OldDeadLetters(before models.Time, most int) ([]*models.DeadLetter, error) {
	return find[models.DeadLetter](r, func(db *gorm.DB) *gorm.DB {
		return db.Select("account_id", "webhook_id", "id", "created_at").Where("created_at < ?", before).Order("created_at").Limit(most)
	})
}

// DeleteDeadLetters deletes dead letters of the account.
func (tx *Tx) DeleteDeadLetters(rows []*models.DeadLetter) error {
	return deleteRows[models.DeadLetter](tx, "webhook_id = ? AND id = ?", rows, func(d *models.DeadLetter) []any { return []any{d.WebhookID, d.Key} })
}
