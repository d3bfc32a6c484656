package models

// DeliveryState is how far a message has come on its way through the outbound queue.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting DeliveryState = "WAITING"
	DeliveryClaimed DeliveryState = "CLAIMED" // handed to the channel, or about to be
)

// Delivery is a message that has yet to leave, in the order of its key. Its row is deleted in
// the transaction that records the outcome.
type Delivery struct {
	AccountID  Key           `gorm:"column:account_id;primaryKey"`
	CustomerID Key           `gorm:"column:customer_id;primaryKey"`
	MessageID  Key           `gorm:"column:message_id;primaryKey"`
	State      DeliveryState `gorm:"column:state"`
	Attempts   int           `gorm:"column:attempts"`
	CreatedAt  Time          `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Delivery) TableName() string { return "delivery" }

// Outbox is the outbound queue of one customer: what a worker leases, so that messages to one
// customer leave in order.
type Outbox struct {
	AccountID   Key  `gorm:"column:account_id;primaryKey"`
	CustomerID  Key  `gorm:"column:customer_id;primaryKey"`
	DueAt       Time `gorm:"column:due_at"`
	LeasedBy    Key  `gorm:"column:leased_by"`
	LeasedUntil Time `gorm:"column:leased_until"`
}

// TableName names the table for the mapper.
func (Outbox) TableName() string { return "outbox" }
