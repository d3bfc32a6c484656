package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// MassSendsToAll reads the account's mass sends to all followers that were sent at or after an
// instant, in the order in which they were recorded.
func (r *Reader) MassSendsToAll(account models.Key, from models.Time) ([]*models.MassSend, error) {
	return find[models.MassSend](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND no > 0 AND at >= ?", account, from).Order("no")
	})
}

// LockMassSend reads and locks one mass send; ErrNotFound when there is none with this key.
func (tx *Tx) LockMassSend(key models.Ident) (*models.MassSend, error) {
	tx.enter(phaseRows)
	return first[models.MassSend](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND send_key = ?", tx.Account, key)
	})
}

// InsertMassSend writes a new mass send; ErrDuplicate when its key is taken.
func (tx *Tx) InsertMassSend(m *models.MassSend) error { return insert(tx, []*models.MassSend{m}) }

// UpdateMassSend writes how far the openids of a locked mass send have been dealt with.
func (tx *Tx) UpdateMassSend(m *models.MassSend) error {
	return upsert(tx, []*models.MassSend{m}, "done", "counted")
}
