package store

import (
	"errors"

	"gorm.io/gorm"

	"clientele/models"
)

// AgedMessage is what says whether a message may be deleted for its age.
type AgedMessage struct {
	Key       models.Key           `gorm:"column:id"`
	CreatedAt models.Time          `gorm:"column:created_at"`
	Status    models.MessageStatus `gorm:"column:status"`
	// IsLast: it is its conversation's last one. What is not will never be again.
	IsLast bool `gorm:"column:is_last"`
}

// AgedMessages reads messages of an account behind a key, in the order of their keys, along the primary key.
func (r *Reader) AgedMessages(account, after models.Key, most int) ([]AgedMessage, error) {
	return scan[AgedMessage](r, func(db *gorm.DB) *gorm.DB {
		db = db.Table("message m").Select("m.id, m.created_at, m.status, COALESCE(c.last_message_id = m.id, 0) AS is_last").
			Joins("LEFT JOIN conversation c ON c.account_id = m.account_id AND c.customer_id = m.customer_id").
			Where("m.account_id = ?", account)
		if !after.IsZero() {
			db = db.Where("m.id > ?", after)
		}
		return db.Order("m.id").Limit(most)
	})
}

// DeleteMessages deletes messages of the account, in one statement, but for those that have yet to be sent by now,
// and answers how many. It locks these rows and nothing else: who writes other messages waits for nothing.
func (tx *Tx) DeleteMessages(keys []models.Key) (int, error) {
	tx.enter(phaseRows)
	if len(keys) == 0 {
		return 0, nil
	}
	// Of a small table the optimizer would read all rows, and wait for those that others are writing.
	from := "message FROM message FORCE INDEX (PRIMARY)"
	if tx.store.IsEmbedded() {
		from = "FROM message"
	}
	return tx.affect("DELETE "+from+" WHERE account_id = ? AND id IN ("+marks(len(keys))+") AND status <> ?",
		append(keyArgs(tx.Account, keys), string(models.StatusQueued)))
}

// MessageSweep reads how far an account's messages have been looked through.
func (r *Reader) MessageSweep(account models.Key) (*models.MessageSweep, error) {
	row, err := first[models.MessageSweep](r, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ?", account) })
	if errors.Is(err, ErrNotFound) {
		return &models.MessageSweep{AccountID: account}, nil
	}
	return row, err
}

// KeepMessageSweep writes it.
func (tx *Tx) KeepMessageSweep(m *models.MessageSweep) error {
	tx.enter(phaseRows)
	return upsert(tx, []*models.MessageSweep{m}, "up_to", "again")
}
