package models

// EventKind is what a row of the event log tells.
type EventKind string

// The kinds of events on an advisor's stream.
const (
	EventNotificationMade    EventKind = "NOTIFICATION_MADE"    // a notification was made or merged into (rule N1, N3)
	EventMessageReceived     EventKind = "MESSAGE_RECEIVED"     // a bound customer wrote
	EventMessageStatus       EventKind = "MESSAGE_STATUS"       // an advisor's message was queued, sent or failed
	EventConversationChanged EventKind = "CONVERSATION_CHANGED" // read, bound, unfollowed: anything but a message
	EventCustomerLeft        EventKind = "CUSTOMER_LEFT"        // the customer is no longer this advisor's (rule V5)
	EventAdvisorChanged      EventKind = "ADVISOR_CHANGED"      // state or presence of the advisor
	EventCustomersImported   EventKind = "CUSTOMERS_IMPORTED"   // an import gave the advisor customers, or changed theirs
)

// The kinds of events on a job's stream.
const (
	EventJobChanged EventKind = "JOB_CHANGED" // it was queued, begun, or came further
	EventJobEnded   EventKind = "JOB_ENDED"   // it ended; the last event of its stream
)

// Event is a row of the event log, written in the transaction of the change it tells of. It
// holds ids and small facts, never texts. Its primary key is (Account, Stream, Seq); in one
// stream Seq rises by exactly one from event to event, in commit order (rule N4).
type Event struct {
	Account Key `gorm:"column:account_id;primaryKey"`
	// Stream is the key of the advisor, the job, or the account whose stream this is.
	Stream       Key       `gorm:"column:stream_id;primaryKey"`
	Seq          int64     `gorm:"column:seq;primaryKey"`
	Kind         EventKind `gorm:"column:kind"`
	At           Time      `gorm:"column:at"`
	Customer     Key       `gorm:"column:customer_id"`
	Message      Key       `gorm:"column:message_id"`
	Notification Key       `gorm:"column:notification_id"`
	// Subject is what else it is about: see AccountEvent.
	Subject Key `gorm:"column:subject_id"`

	// Primed carries the rows that the writing transaction had in hand, so that pushing a fresh
	// event asks the database for nothing. It is nil for an event that was read from the log.
	Primed *Primed `gorm:"-"`
}

// TableName names the table for the mapper.
func (Event) TableName() string { return "event" }

// StreamID names one stream.
type StreamID struct{ Account, Stream Key }

// ID is the stream that e belongs to.
func (e *Event) ID() StreamID { return StreamID{e.Account, e.Stream} }

// StreamHead is what the log says of a stream: the number of its newest event (0: none yet) and
// the number up to which events have been deleted (0: none).
type StreamHead struct {
	ID    StreamID
	Head  int64
	Floor int64
}

// StreamRange asks for the events of one stream with After < Seq ≤ UpTo.
type StreamRange struct {
	ID    StreamID
	After int64
	UpTo  int64
}
