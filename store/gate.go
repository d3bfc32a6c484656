package store

import (
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// Outbound reads the transaction's account with its gate, in one statement and without a lock.
func (tx *Tx) Outbound() (*models.Account, *models.Gate, error) {
	type row struct {
		models.Account `gorm:"embedded"`
		models.Gate    `gorm:"embedded"`
	}
	rows, err := scan[row](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Table("account").
			Select("account.*, account.id AS account_id, COALESCE(g.failures, 0) AS failures, COALESCE(g.since, 0) AS since, COALESCE(g.step, 0) AS step, COALESCE(g.paused_until, 0) AS paused_until").
			Joins("LEFT JOIN outbound_gate g ON g.account_id = account.id").
			Where("account.id = ?", tx.Account).Limit(1)
	})
	if err != nil {
		return nil, nil, err
	}
	if len(rows) == 0 {
		return nil, nil, ErrNotFound
	}
	return &rows[0].Account, &rows[0].Gate, nil
}

// LockGate reads and locks the account's gate, an open one where there is no row. The lock comes
// after that of a queue.
func (tx *Tx) LockGate() (*models.Gate, error) {
	tx.enter(phaseQueues)
	row, err := first[models.Gate](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ?", tx.Account)
	})
	if errors.Is(err, ErrNotFound) {
		return &models.Gate{AccountID: tx.Account}, nil
	}
	return row, err
}

// MakeGate sees to it that the account's gate has a row to lock.
func (tx *Tx) MakeGate() error {
	tx.enter(phaseQueues)
	return upsert(tx, []*models.Gate{{AccountID: tx.Account}}, "account_id")
}

// UpdateGate writes the locked gate.
func (tx *Tx) UpdateGate(g *models.Gate) error {
	return upsert(tx, []*models.Gate{g}, "failures", "since", "step", "paused_until")
}

// OpenGate removes the account's gate if it has seen no more failures than this: the channel
// answered the message that tried it.
func (tx *Tx) OpenGate(failures int) error {
	tx.enter(phaseQueues)
	return translate(tx.db.Where("account_id = ? AND failures = ?", tx.Account, failures).Delete(&models.Gate{}).Error)
}

// RestartGate makes an outage begin now, if the account's gate is shut: nobody asked its channel
// until now.
func (tx *Tx) RestartGate() error {
	tx.enter(phaseQueues)
	return translate(tx.db.Model(&models.Gate{}).Where("account_id = ?", tx.Account).
		Updates(map[string]any{"since": tx.Now, "step": 0}).Error)
}
