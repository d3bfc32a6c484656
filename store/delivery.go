package store

import (
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// Enqueue puts messages of locked conversations at the ends of their customers' outbound queues.
// It is called once in a transaction, since it goes on to a later phase of locks.
func (tx *Tx) Enqueue(rows ...*models.Delivery) error {
	tx.enter(phaseQueues)
	if len(rows) == 0 {
		return nil
	}
	keys := make([]models.Key, len(rows))
	for i, d := range rows {
		keys[i] = d.CustomerID
	}
	keys = sorted(keys)
	due := make([]*models.Outbox, len(keys))
	for i, k := range keys {
		due[i] = &models.Outbox{AccountID: tx.Account, CustomerID: k, DueAt: tx.Now}
	}
	// A queue that is there already keeps its lease and its time: who empties it sees the new row.
	if err := upsert(tx, due, "customer_id"); err != nil {
		return err
	}
	return insert(tx, rows)
}

// DueOutboxes reads queues that may be emptied at now, of any account, the longest waiting
// first. Each is then claimed in a transaction of its account.
func (r *Reader) DueOutboxes(now models.Time, most int) ([]*models.Outbox, error) {
	return find[models.Outbox](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("due_at <= ? AND leased_until <= ?", now, now).Order("due_at").Limit(most)
	})
}

// LeaseOutbox locks a customer's queue if nobody else holds it; nil when somebody does or it
// is gone. The caller decides and writes it with UpdateOutbox.
func (tx *Tx) LeaseOutbox(customer models.Key) (*models.Outbox, error) {
	tx.enter(phaseQueues)
	row, err := first[models.Outbox](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked}).
			Where("account_id = ? AND customer_id = ?", tx.Account, customer)
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // nothing to lease is no fault.
	}
	return row, err
}

// UpdateOutbox writes the lease and the time of a locked queue.
func (tx *Tx) UpdateOutbox(o *models.Outbox) error {
	return upsert(tx, []*models.Outbox{o}, "due_at", "leased_by", "leased_until")
}

// DeleteOutbox removes an empty, locked queue.
func (tx *Tx) DeleteOutbox(customer models.Key) error {
	return translate(tx.db.Where("account_id = ? AND customer_id = ?", tx.Account, customer).Delete(&models.Outbox{}).Error)
}

// FirstDelivery reads the message at the head of a customer's locked queue; ErrNotFound when
// the queue is empty.
func (tx *Tx) FirstDelivery(customer models.Key) (*models.Delivery, error) {
	return first[models.Delivery](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND customer_id = ?", tx.Account, customer).Order("message_id")
	})
}

// UpdateDelivery writes the state of a delivery of a locked queue.
func (tx *Tx) UpdateDelivery(d *models.Delivery) error {
	return upsert(tx, []*models.Delivery{d}, "state", "attempts")
}

// DeleteDelivery removes a delivery whose outcome is recorded.
func (tx *Tx) DeleteDelivery(d *models.Delivery) error {
	return translate(tx.db.Where("account_id = ? AND customer_id = ? AND message_id = ?", tx.Account, d.CustomerID, d.MessageID).
		Delete(&models.Delivery{}).Error)
}
