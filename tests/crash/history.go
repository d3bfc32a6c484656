// Package crash kills what the product is made of in mid-traffic and compares four records of
// what happened: what senders were told, what the log holds at the end, what each client received,
// and what the platform received. This file and check.go are the comparison, which runs nothing; the tests are the rig.
package crash

import (
	"fmt"
	"slices"

	"clientele/models"
)

// History is everything that a run left behind. Keys are unique over all accounts.
type History struct {
	// Events are the rows of the event log, in any order, and Heads the number of the newest
	// event of each stream, as its counter row has it.
	Events []models.Event
	Heads  map[models.Key]int64
	// Messages are the rows of the messages that the events speak of.
	Messages []models.Message
	// Sends and Writes are what was acknowledged: every answer, so that a key that was answered
	// twice is here twice.
	Sends  []Send
	Writes []Write
	// Listeners are the clients.
	Listeners []Listener
	// Handed is what the platform took, in the order in which it took it. It knows nothing of
	// repeats: what came twice is here twice. What it refuses it does not take.
	Handed []Handed
}

// Handed is a message as the platform took it.
type Handed struct {
	Message models.Key
	// Customer is whose the openid is; zero when it is nobody's.
	Customer models.Key
	Text     string
}

// Send is a message of an advisor that the server said it has.
type Send struct {
	Advisor  models.Key
	Customer models.Key
	// Key is the idempotency key. Text is unique to it in the run.
	Key, Text string
	// Message is what the server answered.
	Message models.Key
}

// Write is a message of a customer that the server said it has. Text is unique in the run.
type Write struct {
	Customer models.Key
	Text     string
}

// Topic is which of the two subscriptions a listener has; each shows its own kinds of events.
type Topic string

// The subscriptions of an advisor (rule N4).
const (
	TopicMessages      Topic = "messages"
	TopicNotifications Topic = "notifications"
)

// Listener is a client that keeps its cursor with what it received and comes back with it.
type Listener struct {
	Name   string
	Stream models.Key
	Topic  Topic
	// Start is the number of the cursor it first came with.
	Start int64
	// Goal is the number up to which it had time to receive everything.
	Goal        int64
	Connections []Connection
}

// Connection is what one connection of a listener brought.
type Connection struct {
	// After is the number of the cursor it began with.
	After    int64
	Received []Received
	// Refused is the code of the error that ended the subscription; empty when the connection
	// just broke.
	Refused string
}

// Received is one event as a client saw it.
type Received struct {
	Seq int64
	// Type is the name of its GraphQL type.
	Type string
	// Subject is what the event is about: the message, the notification, or else the customer.
	// Zero for Withdrawn.
	Subject models.Key
}

func (r Received) String() string {
	return fmt.Sprintf("number %d, %s of %s", r.Seq, r.Type, r.Subject)
}

// withdrawn is the type of an event whose subject the viewer may no longer see.
const withdrawn = "Withdrawn"

// shown is how a subscription shows a row of the log; false when it does not.
func (t Topic) shown(e *models.Event) (r Received, ok bool) {
	r.Seq = e.Seq
	switch e.Kind {
	case models.EventNotificationMade:
		r.Type, r.Subject = "NotificationMade", e.Notification
		return r, t == TopicNotifications
	case models.EventMessageReceived:
		r.Type, r.Subject = "MessageReceived", e.Message
	case models.EventMessageStatus:
		r.Type, r.Subject = "MessageStatusChanged", e.Message
	case models.EventConversationChanged:
		r.Type, r.Subject = "ConversationChanged", e.Customer
	case models.EventCustomerLeft:
		r.Type, r.Subject = "CustomerLeft", e.Customer
	case models.EventCustomersImported:
		r.Type = "CustomersImported"
	case models.EventAdvisorChanged, models.EventJobChanged, models.EventJobEnded:
		return r, false
	}
	return r, t == TopicMessages
}

// log is the events of one stream by number, in order.
type log []models.Event

// logs sorts the events by stream and number.
func (h *History) logs() map[models.Key]log {
	logs := map[models.Key]log{}
	for _, e := range h.Events {
		logs[e.Stream] = append(logs[e.Stream], e)
	}
	for _, l := range logs {
		slices.SortStableFunc(l, func(a, b models.Event) int { return int(a.Seq - b.Seq) })
	}
	return logs
}

// at is the event with this number; nil when there is none.
func (l log) at(seq int64) *models.Event {
	i, found := slices.BinarySearchFunc(l, seq, func(e models.Event, seq int64) int { return int(e.Seq - seq) })
	if !found {
		return nil
	}
	return &l[i]
}
