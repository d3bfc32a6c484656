package models

import "clientele/internal/relay"

// Conversation is the one record of what a customer and the account's advisors wrote (rule G1),
// with the contact ledger and the inbox line. It is made with the customer and has their key.
type Conversation struct {
	AccountID  Key `gorm:"column:account_id;primaryKey"`
	CustomerID Key `gorm:"column:customer_id;primaryKey"`
	// AdvisorID repeats customer.advisor_id, written in the same statements, so that an inbox
	// page is one index range.
	AdvisorID Key `gorm:"column:advisor_id"`
	// VisibleFrom hides what was written before it from the present advisor (rule E6).
	VisibleFrom Time `gorm:"column:visible_from"`
	// ActiveAt orders the inbox: the last message, or the binding.
	ActiveAt      Time `gorm:"column:active_at"`
	LastMessageID Key  `gorm:"column:last_message_id"`
	Unread        int  `gorm:"column:unread"`
	// ReadUpTo is the newest message the advisor has read.
	ReadUpTo       Key  `gorm:"column:read_up_to"`
	LastCustomerAt Time `gorm:"column:last_customer_at"` // the customer's last message
	// LastInteractionAt is the last of the five actions of rule G2.
	LastInteractionAt Time `gorm:"column:last_interaction_at"`
	LastAdvisorAt     Time `gorm:"column:last_advisor_at"` // the last message a human advisor wrote
	// IntroducedBy is the advisor whose nickname stood before a text last, IntroducedUntil when the window of that text ended, as far as was
	// known when the last text in it was written (rule B4); zero: nobody's did.
	IntroducedBy    Key  `gorm:"column:introduced_by"`
	IntroducedUntil Time `gorm:"column:introduced_until"`
	// InquiryID is the notification that gathers unread inquiries (rule N3); zero: none is open.
	InquiryID Key `gorm:"column:inquiry_id"`
	Contact
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time `gorm:"column:updated_at;autoUpdateTime:false"`
}

// TableName names the table for the mapper.
func (Conversation) TableName() string { return "conversation" }

// ID is the conversation's global id.
func (c *Conversation) ID() relay.ID { return relay.ID{Kind: KindConversation, Key: c.CustomerID} }

// IsNode marks the type for GraphQL's Node interface.
func (*Conversation) IsNode() {}

// UnreadCount is the number of messages from the customer that the advisor has not read.
func (c *Conversation) UnreadCount() int { return c.Unread }

// Remember takes a past message into what is known of the conversation's last messages (rule E11). It is no interaction, and
// nothing for the advisor to read.
func (c *Conversation) Remember(m *Message) {
	if c.LastMessageID.Less(m.Key) {
		c.LastMessageID = m.Key
	}
	c.ActiveAt = max(c.ActiveAt, m.At)
	if m.Direction == FromCustomer {
		c.LastCustomerAt = max(c.LastCustomerAt, m.At)
	} else {
		c.LastAdvisorAt = max(c.LastAdvisorAt, m.At)
	}
}

// Introduce puts an advisor's nickname before a text for which a slot was taken, if it is the first that they write in a window (rule B4): in an
// outreach, or in a time in which replies were free without an end. What of that time was opened and over again without a text of theirs
// counts as two.
func (c *Conversation) Introduce(by *Advisor, language Language, slot SlotKind, text string) string {
	from, until := c.WindowFrom, c.WindowEnd
	if slot == SlotOutreach {
		from, until = c.SessionEnd, c.SessionEnd
	}
	if c.IntroducedBy == by.Key && from <= c.IntroducedUntil {
		c.IntroducedUntil = max(c.IntroducedUntil, until)
		return text
	}
	c.IntroducedBy, c.IntroducedUntil = by.Key, until
	if language == LanguageEn {
		return by.Nickname + ": " + text
	}
	return by.Nickname + "：" + text
}

// HasReplied reports whether the customer wrote after the last message of a human advisor (rule G9).
func (c *Conversation) HasReplied() bool {
	return !c.LastCustomerAt.IsZero() && c.LastCustomerAt > c.LastAdvisorAt
}
