package models

import "slices"

// AccountEventKind is what an event of an account's stream tells (rule N7). In the log it is the event's EventKind.
type AccountEventKind string

// The kinds of events on an account's stream.
const (
	AccountCustomerChanged    AccountEventKind = "CUSTOMER_CHANGED"    // tags, nickname or info of a customer were changed (rule F3)
	AccountBindingChanged     AccountEventKind = "BINDING_CHANGED"     // a row of the history of bindings (rule E2)
	AccountCustomersImported  AccountEventKind = "CUSTOMERS_IMPORTED"  // EventCustomersImported: an import made or changed customers, many at once (rule E11)
	AccountInvitationAccepted AccountEventKind = "INVITATION_ACCEPTED" // by the advisor (rule B3)
	AccountInvitationRefused  AccountEventKind = "INVITATION_REFUSED"  // by the advisor (rule B3)
	AccountInvitationExpired  AccountEventKind = "INVITATION_EXPIRED"  // nobody answered in time (rule B3)
	AccountCodeScanned        AccountEventKind = "CODE_SCANNED"        // a row of the record of scans (rule C2)
)

// AccountEventKinds are the kinds of events of an account that are asked for; nil: all.
type AccountEventKinds []AccountEventKind

// Has reports whether events of a kind are asked for.
func (k AccountEventKinds) Has(kind AccountEventKind) bool {
	return k == nil || slices.Contains(k, kind)
}

// IsKnown reports whether this release knows the kind: while servers of a newer one run beside it, the log may have others.
func (k AccountEventKind) IsKnown() bool {
	switch k {
	case AccountCustomerChanged, AccountBindingChanged, AccountCustomersImported,
		AccountInvitationAccepted, AccountInvitationRefused, AccountInvitationExpired, AccountCodeScanned:
		return true
	}
	return false
}

// Ended is what an invitation came to that an event of this kind tells of (rule B3); empty: it tells of none.
func (k AccountEventKind) Ended() AdvisorState {
	switch k {
	case AccountInvitationAccepted:
		return AdvisorActive
	case AccountInvitationRefused:
		return AdvisorRefused
	case AccountInvitationExpired:
		return AdvisorExpired
	case AccountCustomerChanged, AccountBindingChanged, AccountCustomersImported, AccountCodeScanned:
	}
	return ""
}

// AccountEvent is an event of the account's stream that waits for its number. Transactions that tell
// the merchant's systems something write one and lock nothing for it; the relay moves it to the log
// (ADR 0026).
type AccountEvent struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	// No is the database's: of two rows, the second written under a lock that the first one's writer
	// held to its commit, the second has the greater. It orders what is there and is no cursor.
	No   int64            `gorm:"column:no;->"`
	Kind AccountEventKind `gorm:"column:kind"`
	At   Time             `gorm:"column:at"`
	// Customer is whom it is about; zero: nobody, of an invitation or an import.
	Customer Key `gorm:"column:customer_id"`
	// Subject is the row that says what happened, in the log of changes, the history of bindings or the record of scans, or the
	// advisor who was invited; zero of an import.
	Subject Key `gorm:"column:subject_id"`
}

// TableName names the table for the mapper.
func (AccountEvent) TableName() string { return "account_event" }

// Event is e as the log has it, without a number.
func (e *AccountEvent) Event() Event {
	return Event{Account: e.AccountID, Stream: e.AccountID, Kind: EventKind(e.Kind), At: e.At, Customer: e.Customer, Subject: e.Subject}
}
