package store

import (
	"gorm.io/gorm"

	"clientele/models"
)

// Outreach reads one confirmed outreach; ErrNotFound when there is none. Under the lock of its
// conversation nobody else changes it.
func (r *Reader) Outreach(account, customer models.Key, no int) (*models.Outreach, error) {
	return first[models.Outreach](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND customer_id = ? AND no = ?", account, customer, no)
	})
}

// InsertOutreach writes the record of an outreach that was just confirmed under the lock of its
// conversation.
func (tx *Tx) InsertOutreach(o *models.Outreach) error { return insert(tx, []*models.Outreach{o}) }

// UpdateOutreach writes what became of the messages of an outreach whose conversation is locked.
func (tx *Tx) UpdateOutreach(o *models.Outreach) error {
	tx.enter(phaseRows)
	return upsert(tx, []*models.Outreach{o}, "month", "sent_count", "out_count")
}
