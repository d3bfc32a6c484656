package models

// AccountEvent is an event of the account's stream that waits for its number. Transactions that tell
// the merchant's systems something write one and lock nothing for it; the relay moves it to the log
// (ADR 0026).
type AccountEvent struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	// No is the database's: of two rows, the second written under a lock that the first one's writer
	// held to its commit, the second has the greater. It orders what is there and is no cursor.
	No       int64     `gorm:"column:no;->"`
	Kind     EventKind `gorm:"column:kind"`
	At       Time      `gorm:"column:at"`
	Customer Key       `gorm:"column:customer_id"`
	Subject  Key       `gorm:"column:subject_id"` // see Event.Subject
}

// TableName names the table for the mapper.
func (AccountEvent) TableName() string { return "account_event" }

// Event is e as the log has it, without a number.
func (e *AccountEvent) Event() Event {
	return Event{Account: e.AccountID, Stream: e.AccountID, Kind: e.Kind, At: e.At, Customer: e.Customer, Subject: e.Subject}
}
