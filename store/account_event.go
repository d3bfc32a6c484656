package store

import (
	"errors"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// EmitToAccount adds an event to the account's stream (rules N7, F3): customer and subject as models.AccountEvent has them. It is written
// with the transaction, and gets its number from the relay after it: no row that others lock is locked for it.
func (tx *Tx) EmitToAccount(kind models.AccountEventKind, customer, subject models.Key) {
	tx.waiting = append(tx.waiting, &models.AccountEvent{AccountID: tx.Account, Kind: kind, At: tx.Now, Customer: customer, Subject: subject})
}

// writeWaiting writes what EmitToAccount was given.
func (tx *Tx) writeWaiting() error {
	if len(tx.waiting) == 0 {
		return nil
	}
	return insert(tx, tx.waiting)
}

// OnWaiting sets who is told that events of accounts wait for their numbers: called after COMMIT has
// returned, by the goroutine that wrote. It does not block.
func (s *Store) OnWaiting(f func()) { s.waiting.Store(&f) }

// AccountsWaiting reads the keys, in order and behind `after`, of accounts with events that wait for
// their numbers. It is an exception to "every query takes the account": the relay takes one account after the other.
func (r *Reader) AccountsWaiting(after models.Key, most int) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		db = db.Model(&models.AccountEvent{}).Distinct("account_id")
		if !after.IsZero() {
			db = db.Where("account_id > ?", after)
		}
		return db.Order("account_id").Limit(most)
	})
}

// LockAccountStream locks the counter row of the account's stream, and makes it when there is none. Rows of webhooks are locked after it:
// so whoever writes one that is new, or idle, knows which events it was told of.
func (tx *Tx) LockAccountStream() (*models.Stream, error) {
	tx.enter(phaseRows)
	stream, err := first[models.Stream](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id = ?", tx.Account, tx.Account)
	})
	if errors.Is(err, ErrNotFound) {
		stream = &models.Stream{AccountID: tx.Account, Key: tx.Account}
		err = IfMeanwhile(insert(tx, []*models.Stream{stream}))
	}
	return stream, err
}

// Relay moves up to most waiting events of the account to its stream, in the order in which they were
// written, and answers how many. The counter row is locked before they are read, so that two who relay
// take turns; who writes waiting events waits for neither. Idle webhooks that ask for one of them become due. The transaction does nothing
// else. Seven statements, one more where a webhook becomes due, and one the first time of an account.
func (tx *Tx) Relay(most int) (int, error) {
	stream, err := tx.LockAccountStream()
	if err != nil {
		return 0, err
	}
	tx.streams = map[models.Key]*models.Stream{tx.Account: stream}
	// A plain read: the rows of transactions under way are not seen and not waited for. A transaction
	// that committed after another which it followed has greater numbers, so of the two no
	// reading sees the second alone and none puts it first.
	rows, err := find[models.AccountEvent](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ?", tx.Account).Order("no").Limit(most)
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	numbers := make([]int64, len(rows))
	for i, row := range rows {
		numbers[i] = row.No
	}
	err = tx.db.Where("account_id = ? AND no IN ?", tx.Account, numbers).Delete(&models.AccountEvent{}).Error
	if err != nil {
		return 0, translate(err)
	}
	if err := tx.tellWebhooks(stream.Head, rows); err != nil {
		return 0, err
	}
	tx.events = slices.Grow(tx.events, len(rows))
	for _, row := range rows {
		tx.events = append(tx.events, row.Event())
	}
	return len(rows), nil
}
