package models

import "clientele/internal/relay"

// Direction says who wrote a message (rule G1).
type Direction string

// The directions.
const (
	FromCustomer Direction = "FROM_CUSTOMER"
	FromAdvisor  Direction = "FROM_ADVISOR"
	FromSystem   Direction = "FROM_SYSTEM"
)

// MessageStatus is how far a message has come (rule G6). Messages of customers are RECEIVED, past ones of either side IMPORTED.
type MessageStatus string

// The statuses of messages.
const (
	StatusReceived MessageStatus = "RECEIVED"
	StatusQueued   MessageStatus = "QUEUED"
	StatusSent     MessageStatus = "SENT"
	StatusFailed   MessageStatus = "FAILED"
	StatusUnknown  MessageStatus = "UNKNOWN"
	StatusImported MessageStatus = "IMPORTED" // brought by an import: a record alone (rule E11)
)

// FailureReason is why a message FAILED (rule G6).
type FailureReason string

// The reasons of failures.
const (
	FailedWindowClosed FailureReason = "REPLY_WINDOW_CLOSED" // the platform says the window is over or used up
	FailedNotFollowing FailureReason = "NOT_FOLLOWING"
	FailedRefused      FailureReason = "REFUSED" // the customer refuses messages
	FailedContent      FailureReason = "CONTENT_REJECTED"
	FailedNoChannel    FailureReason = "CHANNEL_UNAVAILABLE" // the channel cannot send, or not now
	FailedQuota        FailureReason = "DAILY_QUOTA_USED_UP" // the platform takes nothing more of the account before its next day (rule K1)
	FailedNotBound     FailureReason = "NOT_BOUND"           // the customer is no longer this advisor's (rule V3)
	FailedRejected     FailureReason = "REJECTED"            // any other refusal by the platform
)

// Message is one message of a conversation. Rows are appended; only the status of one that goes
// out changes. Text is never written to logs or events.
type Message struct {
	AccountID  Key         `gorm:"column:account_id;primaryKey"`
	Key        Key         `gorm:"column:id;primaryKey"`
	CustomerID Key         `gorm:"column:customer_id"`
	AdvisorID  Key         `gorm:"column:advisor_id"` // who sent it, or to whom the customer was bound; zero: nobody
	Direction  Direction   `gorm:"column:direction"`
	Kind       ContentKind `gorm:"column:kind"`
	Text       string      `gorm:"column:text"`
	MediaRef   string      `gorm:"column:media_ref"`
	URL        string      `gorm:"column:url"`
	Detail     string      `gorm:"column:detail"`
	Latitude   float64     `gorm:"column:latitude"`
	Longitude  float64     `gorm:"column:longitude"`

	// DedupKey is models.Inbound.DedupKey of a customer's message, unique in the account: the
	// message is its own record of having come in. Empty for others.
	DedupKey Ident `gorm:"column:dedup_key"`

	Status        MessageStatus `gorm:"column:status"`
	FailureReason FailureReason `gorm:"column:failure_reason"` // empty unless FAILED
	Slot
	At        Time `gorm:"column:at"`        // when it was written: the channel's time, or ours
	StatusAt  Time `gorm:"column:status_at"` // when the status last changed
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Message) TableName() string { return "message" }

// ID is the message's global id.
func (m *Message) ID() relay.ID { return relay.ID{Kind: KindMessage, Key: m.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Message) IsNode() {}

// Failure is why the message FAILED; nil unless it did.
func (m *Message) Failure() *FailureReason {
	if m.FailureReason == "" {
		return nil
	}
	return &m.FailureReason
}

// FollowReplyTo is the account's follow reply to a customer who follows and was bound, as the next message of the
// locked conversation, and the conversation and its ledger with it (rule H4). It is taken from the reply window
// alone; nil where that is closed or spent, or the account has none. It is nobody's answer: "has replied" and what
// is unread do not change.
func (a *Account) FollowReplyTo(conv *Conversation, now Time) *Message {
	if a.FollowReply == "" || !conv.Contact.WindowOpen(now) || conv.Contact.WindowLeft == 0 {
		return nil
	}
	contact, slot, refused := conv.Contact.Take(now, a.Policy(), 1)
	if refused != nil {
		return nil
	}
	m := &Message{
		AccountID: conv.AccountID, Key: KeyAfter(conv.LastMessageID), CustomerID: conv.CustomerID, AdvisorID: conv.AdvisorID,
		Direction: FromSystem, Kind: ContentText, Text: a.FollowReply,
		Status: StatusQueued, Slot: slot, At: now, StatusAt: now, CreatedAt: conv.WrittenAt(now),
	}
	conv.Contact, conv.LastMessageID, conv.ActiveAt = contact, m.Key, max(conv.ActiveAt, m.CreatedAt)
	return m
}

// IsLapsed reports whether a message of the system may not be sent any more, because what its occasion allowed has
// ended: the time that a follow or scan opens, counted from when it was written, or the window altogether (rule H4).
func (m *Message) IsLapsed(c Contact, p Policy, now Time) bool {
	if m.Direction != FromSystem {
		return false
	}
	opened := max(p.Actions[ActionFollow].For, p.Actions[ActionScan].For)
	return !c.WindowOpen(now) || now >= m.At.Add(opened)
}

// MessageSweep is how far the messages of an account have been looked through for those that are too old (rule G11,
// ADR 0039). Two nodes that sweep at once write it in turns: what one of them takes back is looked at again.
type MessageSweep struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	// UpTo is the last of the messages that are all old: those up to it have gone, but for what something kept.
	UpTo Key `gorm:"column:up_to"`
	// Again is up to where what was kept has been looked at once more; zero: from the beginning.
	Again Key `gorm:"column:again"`
}

// TableName names the table for the mapper.
func (MessageSweep) TableName() string { return "message_sweep" }
