package models

// Outreach is the record of one confirmed outreach (rule G3): by whom and when, and what became
// of its messages. While it is the newest of its customer the counts stand in the conversation's
// ledger, which is locked and written with every message anyway; when another supersedes it they
// are handed over to this row and counted on here (Contact.Newest, ADR 0017). The row is guarded by
// the lock of its conversation.
type Outreach struct {
	AccountID  Key `gorm:"column:account_id;primaryKey"`
	CustomerID Key `gorm:"column:customer_id;primaryKey"`
	// No is the ledger's SessionNo, and the No of the slots of its messages.
	No          int  `gorm:"column:no;primaryKey"`
	AdvisorID   Key  `gorm:"column:advisor_id"` // who confirmed it
	ConfirmedAt Time `gorm:"column:confirmed_at"`
	// Month is the month that pays for it, as Policy.MonthOf counts; 0: it was returned.
	Month int `gorm:"column:month"`
	// Sent is how many of its messages were SENT, Out how many were taken and neither SENT nor
	// FAILED. An attempt that is UNKNOWN is among those for good, also when the message is resent
	// (rule G6), so that its outreach is never returned.
	Sent int `gorm:"column:sent_count"`
	Out  int `gorm:"column:out_count"`
}

// TableName names the table for the mapper.
func (Outreach) TableName() string { return "outreach" }

// Settled records that the platform accepted one message of a superseded outreach, which is then
// never returned; of the newest one Contact.Sent does the same.
func (o Outreach) Settled() Outreach {
	if o.Out > 0 {
		o.Out--
		o.Sent++
	}
	return o
}
