package models

// MassSend is one of the account's article mass sends, as the merchant recorded it (rule G3): to
// all followers, or to a list of at most limits.MassSendOpenIDs.
type MassSend struct {
	AccountID Key   `gorm:"column:account_id;primaryKey"`
	SendKey   Ident `gorm:"column:send_key;primaryKey"` // the merchant's name for it
	// No numbers the mass sends to all followers in the order in which they were recorded, 1 for
	// the first; 0: it went to a list.
	No int  `gorm:"column:no"`
	At Time `gorm:"column:at"` // when it was sent
	// Month is the month of At in the account's zone when it was recorded, as Policy.MonthOf counts.
	Month    int    `gorm:"column:month"`
	BodyHash []byte `gorm:"column:body_hash"`
	// Total is how many different openids the list holds, Done how many of them have been dealt
	// with, Counted how many of those were customers. All 0 for a mass send to all.
	Total     int  `gorm:"column:total"`
	Done      int  `gorm:"column:done"`
	Counted   int  `gorm:"column:counted"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (MassSend) TableName() string { return "mass_send" }

// IsToAll reports whether it went to all followers.
func (m *MassSend) IsToAll() bool { return m.No > 0 }

// CountedCustomers is how many customers of the list it was counted for; nil when it went to all.
func (m *MassSend) CountedCustomers() *int {
	if m.IsToAll() {
		return nil
	}
	return &m.Counted
}

// UnknownOpenIDs is how many openids of the list are no customer's; nil when it went to all.
func (m *MassSend) UnknownOpenIDs() *int {
	if m.IsToAll() {
		return nil
	}
	n := m.Done - m.Counted
	return &n
}

// MassSends is the account's mass sends to all followers, as far as they can matter to a ledger.
type MassSends struct {
	// Head is the No of the newest.
	Head int
	// Sends are those not older than limits.MassSendLook.
	Sends []*MassSend
}

// CaughtUp counts the mass sends to all followers that were recorded since the ledger was last
// written and reached the customer: those at whose time they followed (rule G3). Nobody writes a
// million ledgers when such a mass send is recorded; each takes it in when it is next asked or
// written. So that the answer is that of the moment of recording, whoever changes a customer's
// following writes the ledger, caught up by the rows as they were before, in the same transaction.
//
// The customer's row knows one span of following, the present or the last. Who left and came back
// between a mass send and its recording is taken not to have got it.
func (c Contact) CaughtUp(all MassSends, customer *Customer) Contact {
	for _, m := range all.Sends {
		if m.No > c.MassSeen && customer.WasFollowing(m.At) {
			c = c.MassSent(m.Month, 1, Policy{})
		}
	}
	c.MassSeen = max(c.MassSeen, all.Head)
	return c
}
