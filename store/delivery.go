package store

import (
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// place is a delivery's place in its queue: models.Delivery.Place.
const place = "COALESCE(id, message_id)"

// Enqueue puts messages of locked conversations at the ends of their customers' outbound queues,
// in the order given, and gives each row its place. It is called once in a transaction, since it
// goes on to a later phase of locks. ErrDuplicate for a message that is in its queue already.
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
	last, err := tx.lastPlaces(keys)
	if err != nil {
		return err
	}
	for _, d := range rows {
		// After what waits there, whatever the clock of the node that queued it says.
		d.Key = models.KeyAfter(last[d.CustomerID])
		last[d.CustomerID] = d.Key
	}
	return insert(tx, rows)
}

// lastPlaces is the last place of each of these locked queues that is not empty.
func (tx *Tx) lastPlaces(customers []models.Key) (map[models.Key]models.Key, error) {
	type row struct {
		CustomerID models.Key
		Last       models.Key
	}
	rows, err := scan[row](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Delivery{}).Select("customer_id, MAX("+place+") AS last").
			Where("account_id = ? AND customer_id IN ?", tx.Account, customers).Group("customer_id")
	})
	last := make(map[models.Key]models.Key, len(rows))
	for _, r := range rows {
		last[r.CustomerID] = r.Last
	}
	return last, err
}

// DueAccounts reads the accounts, without those of except, that are open, whose gate lets
// something through at now and that have a due queue; the longest waiting first. What it reads
// grows with the number of accounts that have queues and not with the number of their queues. It
// is one of the named exceptions to "every query takes the account".
func (r *Reader) DueAccounts(now models.Time, except []models.Key, most int) ([]models.DueAccount, error) {
	return scan[models.DueAccount](r, func(db *gorm.DB) *gorm.DB {
		// The index outbox_account_due has an account's earliest queue first.
		db = db.Table("(SELECT account_id, MIN(due_at) AS due_at FROM outbox GROUP BY account_id) AS q").
			Select("q.account_id, q.due_at, COALESCE(g.failures, 0) AS failures").
			Joins("JOIN account a ON a.id = q.account_id").
			Joins("LEFT JOIN outbound_gate g ON g.account_id = q.account_id").
			Where("q.due_at <= ? AND a.capability = ? AND COALESCE(g.paused_until, 0) <= ?", now, models.CapabilityOpen, now)
		if len(except) > 0 {
			db = db.Where("q.account_id NOT IN ?", except)
		}
		return db.Order("q.due_at, q.account_id").Limit(most)
	})
}

// DueOutboxes reads due queues that nobody holds, of each account at most so many as demanded, in
// the order of the demands and of an account the longest waiting first; in one statement. Each is
// then claimed in a transaction of its account.
func (r *Reader) DueOutboxes(now models.Time, demands []models.Demand) ([]*models.Outbox, error) {
	if len(demands) == 0 {
		return nil, nil
	}
	var query strings.Builder
	var args []any
	for i, d := range demands {
		if i > 0 {
			query.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&query, "SELECT * FROM (SELECT %d AS turn, outbox.* FROM outbox WHERE account_id = ? AND due_at <= ? AND leased_until <= ?"+
			" ORDER BY due_at, customer_id LIMIT ?) AS q%d", i, i)
		args = append(args, d.Account, now, now, d.Most)
	}
	query.WriteString(" ORDER BY turn, due_at, customer_id")
	return scan[*models.Outbox](r, func(db *gorm.DB) *gorm.DB { return db.Raw(query.String(), args...) })
}

// LeaseOutbox locks a customer's queue if nobody else has it locked; nil when somebody does or
// it is gone. The caller decides and writes it with UpdateOutbox.
func (tx *Tx) LeaseOutbox(customer models.Key) (*models.Outbox, error) {
	return tx.outbox(customer, clause.LockingOptionsSkipLocked)
}

// LockOutbox is LeaseOutbox for the worker who holds the lease: it waits for the lock.
func (tx *Tx) LockOutbox(customer models.Key) (*models.Outbox, error) { return tx.outbox(customer, "") }

func (tx *Tx) outbox(customer models.Key, options string) (*models.Outbox, error) {
	tx.enter(phaseQueues)
	row, err := first[models.Outbox](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate, Options: options}).
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
	d, err := first[models.Delivery](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND customer_id = ?", tx.Account, customer).Order(place)
	})
	if err == nil {
		tx.store.sabotage.head(d)
	}
	return d, err
}

// Delivery reads one message of a customer's locked queue; ErrNotFound when it has left.
func (tx *Tx) Delivery(customer, message models.Key) (*models.Delivery, error) {
	return first[models.Delivery](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND customer_id = ? AND message_id = ?", tx.Account, customer, message)
	})
}

// StaleOutboxes names customers of an account, in the order of their keys after one, whose queues
// hold a message that was queued at an instant or before it.
func (r *Reader) StaleOutboxes(account, after models.Key, queued models.Time, most int) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		db = db.Model(&models.Delivery{}).Distinct("customer_id").Where("account_id = ? AND created_at <= ?", account, queued)
		if !after.IsZero() {
			db = db.Where("customer_id > ?", after)
		}
		return db.Order("customer_id").Limit(most)
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
