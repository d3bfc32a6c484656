package models

// DeliveryState is how far a message has come on its way through the outbound queue.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting DeliveryState = "WAITING"
	DeliveryClaimed DeliveryState = "CLAIMED" // handed to the channel, or about to be
)

// Delivery is a message that has yet to leave. A message is in its queue once at most: the
// primary key says so. Its row is deleted in the transaction that records the outcome.
type Delivery struct {
	AccountID  Key           `gorm:"column:account_id;primaryKey"`
	CustomerID Key           `gorm:"column:customer_id;primaryKey"`
	MessageID  Key           `gorm:"column:message_id;primaryKey"`
	Key        Key           `gorm:"column:id"` // see Place; made by store.Tx.Enqueue
	State      DeliveryState `gorm:"column:state"`
	Attempts   int           `gorm:"column:attempts"` // how often it was handed over, or about to be
	CreatedAt  Time          `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Delivery) TableName() string { return "delivery" }

// Place is where the delivery stands in its queue, which is emptied in ascending order. One that
// the release before queued has none of its own and stands where its message does.
func (d *Delivery) Place() Key {
	if d.Key.IsZero() {
		return d.MessageID
	}
	return d.Key
}

// Outbox is the outbound queue of one customer: what a worker leases, so that messages to one
// customer leave in order.
type Outbox struct {
	AccountID  Key `gorm:"column:account_id;primaryKey"`
	CustomerID Key `gorm:"column:customer_id;primaryKey"`
	// DueAt is from when on a worker may take it; while one holds it, the end of the lease, so
	// that nobody who looks for work passes over it.
	DueAt       Time `gorm:"column:due_at"`
	LeasedBy    Key  `gorm:"column:leased_by"`
	LeasedUntil Time `gorm:"column:leased_until"` // 0: nobody holds it
}

// TableName names the table for the mapper.
func (Outbox) TableName() string { return "outbox" }

// IsFree reports whether a worker may take the queue at now.
func (o *Outbox) IsFree(now Time) bool { return o.DueAt <= now && o.LeasedUntil <= now }

// Lease gives the queue to a worker until an instant.
func (o *Outbox) Lease(worker Key, until Time) {
	o.LeasedBy, o.LeasedUntil, o.DueAt = worker, until, until
}

// Release gives the queue back, to be taken from an instant on.
func (o *Outbox) Release(due Time) { o.LeasedBy, o.LeasedUntil, o.DueAt = Key{}, 0, due }

// DueAccount is an account with outbound queues that may be due.
type DueAccount struct {
	AccountID Key
	DueAt     Time // of the queue that waits longest
	Failures  int  // of the account's gate; more than 0: one message may try
}

// Demand is how many due queues of an account are asked for.
type Demand struct {
	Account Key
	Most    int
}
