package models

import "clientele/internal/relay"

// The connections of the API.
type (
	AdvisorConnection        = relay.Connection[*Advisor, AdvisorEdge]
	QRCodeConnection         = relay.Connection[*QRCode, QRCodeEdge]
	ScanConnection           = relay.Connection[*Scan, ScanEdge]
	GroupConnection          = relay.Connection[*Group, GroupEdge]
	BindingConnection        = relay.Connection[*Binding, BindingEdge]
	CustomerChangeConnection = relay.Connection[*CustomerChange, CustomerChangeEdge]
	ErasureConnection        = relay.Connection[*Erasure, ErasureEdge]
	JobConnection            = relay.Connection[*Job, JobEdge]
	JobItemConnection        = relay.Connection[*JobItem, JobItemEdge]
	CustomerConnection       = relay.Connection[*Customer, CustomerEdge]
	ConversationConnection   = relay.Connection[*Conversation, ConversationEdge]
	MessageConnection        = relay.Connection[*Message, MessageEdge]
	AuditEntryConnection     = relay.Connection[*Audit, AuditEntryEdge]
	NotificationConnection   = relay.Connection[*Notification, NotificationEdge]
	DeadLetterConnection     = relay.Connection[*DeadLetter, DeadLetterEdge]
)

// Their edges: an item and its cursor. (They are types of their own because the generator does
// not see through aliases into internal packages.)
type (
	AdvisorEdge struct {
		Cursor string
		Node   *Advisor
	}
	AuditEntryEdge struct {
		Cursor string
		Node   *Audit
	}
	QRCodeEdge struct {
		Cursor string
		Node   *QRCode
	}
	ScanEdge struct {
		Cursor string
		Node   *Scan
	}
	GroupEdge struct {
		Cursor string
		Node   *Group
	}
	BindingEdge struct {
		Cursor string
		Node   *Binding
	}
	CustomerChangeEdge struct {
		Cursor string
		Node   *CustomerChange
	}
	ErasureEdge struct {
		Cursor string
		Node   *Erasure
	}
	JobEdge struct {
		Cursor string
		Node   *Job
	}
	JobItemEdge struct {
		Cursor string
		Node   *JobItem
	}
	CustomerEdge struct {
		Cursor string
		Node   *Customer
	}
	ConversationEdge struct {
		Cursor string
		Node   *Conversation
	}
	MessageEdge struct {
		Cursor string
		Node   *Message
	}
	NotificationEdge struct {
		Cursor string
		Node   *Notification
	}
	DeadLetterEdge struct {
		Cursor string
		Node   *DeadLetter
	}
)

// Node is anything with a global id.
type Node interface {
	IsNode()
	ID() relay.ID
}

// ErrorCode is Code by its name in the schema.
type ErrorCode = Code

// ItemError is an Error as one item of a batch carries it.
type ItemError = Error

// AsItemError is err for an item's result: nil for nil, INTERNAL for an error of another type.
func AsItemError(err error) *Error {
	if err == nil {
		return nil
	}
	if e := asError(err); e != nil {
		return e
	}
	return Errorf(CodeInternal, "unexpected failure")
}

// ErrorField is the argument at fault; nil when none is.
func (e *Error) ErrorField() *string { return optional(e.Field) }

// ErrorLimit is the number that was exceeded; nil when none was.
func (e *Error) ErrorLimit() *int {
	if e.Limit == 0 {
		return nil
	}
	return &e.Limit
}
