package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// DueChannelWork reads what is to be asked of these parts of platforms and nobody has in hand, the longest waiting first. It is one of the
// named exceptions to "every query takes the account": each is then claimed in a transaction of its account.
func (r *Reader) DueChannelWork(now models.Time, apis []models.ChannelAPI, most int) ([]*models.ChannelWork, error) {
	return find[models.ChannelWork](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("due_at <= ? AND api IN ?", now, apis).Order("due_at").Limit(most)
	})
}

// WakeChannelWork says that something is to be asked of the account's platform, now. A node that is asking already keeps its lease: it looks for
// more before it gives it back.
func (tx *Tx) WakeChannelWork(api models.ChannelAPI) error {
	tx.enter(phaseRows)
	return translate(tx.db.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "account_id"}, {Name: "api"}},
		DoUpdates: clause.Assignments(map[string]any{
			"due_at":   gorm.Expr("CASE WHEN leased_by IS NULL THEN ? ELSE due_at END", tx.Now),
			"attempts": gorm.Expr("CASE WHEN leased_by IS NULL THEN 0 ELSE attempts END"),
		}),
	}).Create(&models.ChannelWork{AccountID: tx.Account, API: api, DueAt: tx.Now}).Error)
}

// WakeAllChannelWork says that what waits to be asked of the account's platform may be asked now.
func (tx *Tx) WakeAllChannelWork() error {
	tx.enter(phaseRows)
	return translate(tx.db.Model(&models.ChannelWork{}).Where("account_id = ? AND leased_by IS NULL", tx.Account).
		Updates(map[string]any{"due_at": tx.Now, "attempts": 0}).Error)
}

// LockChannelWork reads and locks it; ErrNotFound when there is none.
func (tx *Tx) LockChannelWork(api models.ChannelAPI) (*models.ChannelWork, error) {
	tx.enter(phaseRows)
	return first[models.ChannelWork](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND api = ?", tx.Account, api)
	})
}

// PutChannelWork writes it as it is, under its lock.
func (tx *Tx) PutChannelWork(w *models.ChannelWork) error {
	return upsert(tx, []*models.ChannelWork{w}, "due_at", "leased_by", "attempts")
}

// DeleteChannelWork says that nothing waits any more, under its lock.
func (tx *Tx) DeleteChannelWork(api models.ChannelAPI) error {
	return translate(tx.db.Where("account_id = ? AND api = ?", tx.Account, api).Delete(&models.ChannelWork{}).Error)
}

// WaitingQRCodes reads codes of which the platform is to be told, the longest waiting first, whether or not they are due.
func (r *Reader) WaitingQRCodes(account models.Key, most int) ([]*models.WaitingQRCode, error) {
	return find[models.WaitingQRCode](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ?", account).Order("due_at, code_id").Limit(most)
	})
}

// AwaitQRCodes has the platform be told of all the account's codes that it does not know, under the lock of the work.
func (tx *Tx) AwaitQRCodes() error {
	tx.enter(phaseRows)
	if err := tx.exec("DELETE FROM qr_code_waiting WHERE account_id = ?", []any{tx.Account[:]}); err != nil {
		return err
	}
	return tx.exec("INSERT INTO qr_code_waiting (account_id, due_at, code_id) SELECT account_id, ?, id FROM qr_code WHERE account_id = ? AND platform_url = ''",
		[]any{int64(tx.Now), tx.Account[:]})
}

// InsertWaitingQRCodes has the platform be told of codes.
func (tx *Tx) InsertWaitingQRCodes(rows []*models.WaitingQRCode) error { return insert(tx, rows) }

// DeleteWaitingQRCodes takes them back, as they were read.
func (tx *Tx) DeleteWaitingQRCodes(rows []*models.WaitingQRCode) error {
	return deleteRows[models.WaitingQRCode](tx, "due_at = ? AND code_id = ?", rows, func(w *models.WaitingQRCode) []any { return []any{w.DueAt, w.CodeID} })
}

// TellQRCodes writes what the platform said of codes, of those that are still there.
func (tx *Tx) TellQRCodes(rows []*models.QRCode) error {
	tx.enter(phaseRows)
	keys := make([]models.Key, len(rows))
	said := make(map[models.Key]*models.QRCode, len(rows))
	for i, q := range rows {
		keys[i], said[q.Key] = q.Key, q
	}
	there, err := find[models.QRCode](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id IN ?", tx.Account, keys).Order("id")
	})
	if err != nil {
		return err
	}
	for _, q := range there {
		q.PlatformURL, q.Refusal = said[q.Key].PlatformURL, said[q.Key].Refusal
	}
	return upsert(tx, there, "platform_url", "refusal")
}
