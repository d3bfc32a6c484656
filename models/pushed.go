package models

import "clientele/internal/relay"

// EventMeta is what every pushed event says of itself.
type EventMeta struct {
	Cursor   string
	Sequence int64
	At       Time
	// Primed are the rows that came with the event, for the loaders; nil when they were read.
	Primed *Primed
	// Scope is the services' scope under which the event was made visible; it is opaque here.
	Scope any
	// Same is nil, or equal for all viewers to whom this very event looks the same; comparable.
	Same any
}

// PushedEvent is an event as a subscription shows it.
type PushedEvent interface{ Meta() EventMeta }

// Meta is what the event says of itself.
func (m EventMeta) Meta() EventMeta { return m }

// IsEvent marks the types that implement the API's Event.
func (EventMeta) IsEvent() {}

// NotificationEvent is a member of the union that `notifications` pushes.
type NotificationEvent interface {
	PushedEvent
	IsNotificationEvent()
}

// MessageEvent is a member of the union that `messages` pushes.
type MessageEvent interface {
	PushedEvent
	IsMessageEvent()
}

// JobEvent is a member of the union that `jobChanges` pushes.
type JobEvent interface {
	PushedEvent
	IsJobEvent()
}

// CustomerChangeEvent is a member of the union that `customerChangeFeed` pushes.
type CustomerChangeEvent interface {
	PushedEvent
	IsCustomerChangeEvent()
}

// PushedAccountEvent is a member of the union that `accountEvents` pushes.
type PushedAccountEvent interface {
	PushedEvent
	IsAccountEvent()
}

// Feed is some events of a stream, in the order of their numbers.
type Feed[E PushedEvent] struct {
	Events []E
	// Cursor is behind the last event that was looked at.
	Cursor string
	// HasMore: there were more events behind it.
	HasMore bool
}

// The feeds of an account's stream: of all that it tells, and of what is changed of its customers.
type (
	AccountEventFeed   struct{ Feed[PushedAccountEvent] }
	CustomerChangeFeed struct{ Feed[CustomerChangeEvent] }
)

// The events that are pushed.
type (
	NotificationMade struct {
		EventMeta
		Notification *Notification
	}
	MessageReceived struct {
		EventMeta
		Message      *Message
		Conversation *Conversation
	}
	MessageStatusChanged struct {
		EventMeta
		Message *Message
	}
	ConversationChanged struct {
		EventMeta
		Conversation *Conversation
	}
	CustomerLeft struct {
		EventMeta
		CustomerID relay.ID
	}
	CustomersImported struct{ EventMeta }
	JobChanged        struct {
		EventMeta
		Job *Job
	}
	CustomerChanged struct {
		EventMeta
		Change *CustomerChange
	}
	BindingChanged struct {
		EventMeta
		Binding *Binding
	}
	CodeScanned struct {
		EventMeta
		Scan *Scan
	}
	InvitationEnded struct {
		EventMeta
		Advisor *Advisor
		// Outcome is what it came to: ACTIVE, REFUSED or EXPIRED.
		Outcome AdvisorState
	}
	// Withdrawn stands for an event whose subject the viewer may no longer see (rule N4).
	Withdrawn struct{ EventMeta }
)

// IsNotificationEvent, IsMessageEvent, IsJobEvent, IsCustomerChangeEvent and IsAccountEvent mark the members of the unions.
func (NotificationMade) IsNotificationEvent()  {}
func (Withdrawn) IsNotificationEvent()         {}
func (MessageReceived) IsMessageEvent()        {}
func (MessageStatusChanged) IsMessageEvent()   {}
func (ConversationChanged) IsMessageEvent()    {}
func (CustomerLeft) IsMessageEvent()           {}
func (CustomersImported) IsMessageEvent()      {}
func (Withdrawn) IsMessageEvent()              {}
func (JobChanged) IsJobEvent()                 {}
func (Withdrawn) IsJobEvent()                  {}
func (CustomerChanged) IsCustomerChangeEvent() {}
func (Withdrawn) IsCustomerChangeEvent()       {}
func (CustomerChanged) IsAccountEvent()        {}
func (BindingChanged) IsAccountEvent()         {}
func (CustomersImported) IsAccountEvent()      {}
func (InvitationEnded) IsAccountEvent()        {}
func (CodeScanned) IsAccountEvent()            {}
func (Withdrawn) IsAccountEvent()              {}
