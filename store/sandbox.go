package store

import (
	"errors"

	"gorm.io/gorm"

	"clientele/models"
)

// Sandbox reads how the simulated platform of an account answers sends; it accepts them until
// told otherwise.
func (r *Reader) Sandbox(account models.Key) (models.SandboxSending, error) {
	row, err := first[models.Sandbox](r, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ?", account) })
	if errors.Is(err, ErrNotFound) {
		return models.SandboxAccept, nil
	}
	if err != nil {
		return "", err
	}
	return row.Sending, nil
}

// SetSandbox writes it.
func (tx *Tx) SetSandbox(sending models.SandboxSending) error {
	tx.enter(phaseRows)
	return upsert(tx, []*models.Sandbox{{AccountID: tx.Account, Sending: sending}}, "sending")
}
