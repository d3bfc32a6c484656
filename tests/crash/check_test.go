package crash

import (
	"slices"
	"strings"
	"testing"

	"clientele/models"
)

// The people and things of hand-made histories.
var (
	anna = models.Key{1}
	wei  = models.Key{2}
	sent = models.Key{3}
	came = models.Key{4}
	made = models.Key{5}
	next = models.Key{6}
	// other is none of them.
	other = models.Key{9}
)

// good is a history in which every promise was kept: a customer wrote, a notification was made,
// the advisor answered, and the answer was delivered.
func good() *History {
	event := func(seq int64, kind models.EventKind, message, notification models.Key) models.Event {
		return models.Event{Stream: anna, Seq: seq, Kind: kind, Customer: wei, Message: message, Notification: notification}
	}
	return &History{
		Events: []models.Event{
			event(1, models.EventConversationChanged, models.Key{}, models.Key{}),
			event(2, models.EventMessageReceived, came, models.Key{}),
			event(3, models.EventNotificationMade, models.Key{}, made),
			event(4, models.EventMessageStatus, sent, models.Key{}),
			event(5, models.EventMessageStatus, sent, models.Key{}),
		},
		Heads: map[models.Key]int64{anna: 5, other: 0},
		Messages: []models.Message{
			{Key: came, CustomerID: wei, AdvisorID: anna, Direction: models.FromCustomer, Text: "hello", Status: models.StatusReceived},
			{Key: sent, CustomerID: wei, AdvisorID: anna, Direction: models.FromAdvisor, Text: "welcome", Status: models.StatusSent},
		},
		Sends: []Send{
			{Advisor: anna, Customer: wei, Key: "k1", Text: "welcome", Message: sent},
			{Advisor: anna, Customer: wei, Key: "k1", Text: "welcome", Message: sent},
		},
		Handed: []Handed{{sent, wei, "welcome"}},
		Writes: []Write{{Customer: wei, Text: "hello"}, {Customer: wei, Text: "hello"}},
		Listeners: []Listener{
			{Name: "messages", Stream: anna, Topic: TopicMessages, Start: 1, Goal: 5, Connections: []Connection{
				{After: 1, Received: []Received{{2, "MessageReceived", came}}},
				{After: 2},
				{After: 2, Received: []Received{{4, "MessageStatusChanged", sent}, {5, "MessageStatusChanged", sent}}},
			}},
			{Name: "notifications", Stream: anna, Topic: TopicNotifications, Start: 0, Goal: 5, Connections: []Connection{
				{After: 0, Received: []Received{{3, "NotificationMade", made}}},
			}},
		},
	}
}

// another queues a second message to the customer, behind the first, with this status; no client
// got as far.
func another(h *History, status models.MessageStatus) {
	tells := 2
	if status == models.StatusQueued {
		tells = 1
	}
	for range tells {
		h.Heads[anna]++
		h.Events = append(h.Events, models.Event{Stream: anna, Seq: h.Heads[anna], Kind: models.EventMessageStatus, Customer: wei, Message: next})
	}
	h.Messages = append(h.Messages, models.Message{Key: next, CustomerID: wei, AdvisorID: anna, Direction: models.FromAdvisor, Text: "and more", Status: status})
}

// Ensure every broken promise is found, and named for what it is, and that nothing else is.
func TestCheck(t *testing.T) {
	messages := func(h *History) *Listener { return &h.Listeners[0] }
	for _, tt := range []struct {
		name  string
		spoil func(*History)
		want  []Fault
		says  string
	}{
		{"all promises kept", func(*History) {}, nil, ""},
		{"nothing happened", func(h *History) { *h = History{} }, nil, ""},
		{"rows in another order", func(h *History) { slices.Reverse(h.Events) }, nil, ""},
		{"not delivered yet", func(h *History) {
			h.Messages[1].Status = models.StatusQueued
			h.Events, h.Heads[anna] = h.Events[:4], 4
			messages(h).Connections[2].Received = messages(h).Connections[2].Received[:1]
		}, nil, ""},
		{"beyond the goal", func(h *History) { messages(h).Goal = 2 }, nil, ""},
		{"nothing after the goal", func(h *History) {
			messages(h).Goal, messages(h).Connections = 3, messages(h).Connections[:1]
		}, nil, ""},
		{"a customer nobody serves", func(h *History) {
			h.Messages = append(h.Messages, models.Message{Key: other, CustomerID: other, Direction: models.FromCustomer, Status: models.StatusReceived})
		}, nil, ""},
		{"withdrawn from a former advisor", func(h *History) {
			h.Events = append(h.Events, models.Event{Stream: anna, Seq: 6, Kind: models.EventCustomerLeft, Customer: wei})
			h.Heads[anna] = 6
			messages(h).Connections[0].Received[0] = Received{Seq: 2, Type: "Withdrawn"}
			messages(h).Connections[2].Received = append(messages(h).Connections[2].Received, Received{6, "CustomerLeft", wei})
		}, nil, ""},

		{"withdrawn without a reason", func(h *History) {
			messages(h).Connections[0].Received[0] = Received{Seq: 2, Type: "Withdrawn"}
		}, []Fault{Phantom}, "number 2, Withdrawn"},
		{"a send is lost", func(h *History) { h.Messages[1].Text = "something else" }, []Fault{Lost, Phantom}, `key "k1" was acknowledged and is not stored`},
		{"a send is lost with its rows", func(h *History) {
			h.Messages, h.Events, h.Heads[anna] = h.Messages[:1], h.Events[:3], 3
		}, []Fault{Lost, Phantom, Phantom, Phantom}, `key "k1" was acknowledged and is not stored`},
		{"a customer's message is lost", func(h *History) {
			h.Writes = append(h.Writes, Write{Customer: wei, Text: "are you there?"})
		}, []Fault{Lost}, "are you there?"},
		{"stored for another customer", func(h *History) { h.Writes[1].Customer = other }, []Fault{Lost}, "was acknowledged and is not stored"},
		{
			"a message without its event", func(h *History) { h.Events[1].Kind = models.EventAdvisorChanged; h.Events[1].Message = models.Key{} },
			[]Fault{Torn, Lost, Lost, Phantom},
			"has 0 events in the log, not 1",
		},
		{"an event without its message", func(h *History) { h.Events[1].Message = other }, []Fault{Torn, Torn, Lost, Lost, Phantom}, "which is not stored"},
		{"an event of another stream's message", func(h *History) { h.Messages[0].AdvisorID = other }, []Fault{Torn}, "tells otherwise of message"},
		{"one event too many", func(h *History) { h.Messages[1].Status = models.StatusQueued }, []Fault{Double}, "has 2 events in the log, not 1"},
		{"one event too few", func(h *History) { h.Events, h.Heads[anna] = h.Events[:4], 4 }, []Fault{Torn, Phantom}, "has 1 events in the log, not 2"},
		{"a key with two answers", func(h *History) { h.Sends[1].Message = other }, []Fault{Double}, `key "k1" was answered with message`},
		{"a key with two messages", func(h *History) {
			h.Messages = append(h.Messages, models.Message{Key: other, CustomerID: wei, Text: "welcome", Direction: models.FromAdvisor})
		}, []Fault{Double}, `key "k1" is stored 2 times`},
		{
			"the answer names another message", func(h *History) { h.Sends[0].Message, h.Sends[1].Message = other, other },
			[]Fault{Lost},
			"its text is that of message " + sent.String(),
		},
		{"a repeat counted twice", func(h *History) {
			h.Messages = append(h.Messages, models.Message{Key: other, CustomerID: wei, Text: "hello", Direction: models.FromCustomer})
		}, []Fault{Double, Double}, `"hello", is stored 2 times`},

		{"a number twice in the log", func(h *History) { h.Events[3].Seq = 5 }, []Fault{Hole, Hole, Phantom}, "has number 5 twice"},
		{"a hole in the log", func(h *History) { h.Events[4].Seq, h.Heads[anna] = 6, 6 }, []Fault{Hole, Phantom}, "lacks the numbers 5 to 5"},
		{"the first is not 1", func(h *History) { h.Events = h.Events[1:] }, []Fault{Hole}, "lacks the numbers 1 to 1"},
		{"the counter is ahead", func(h *History) { h.Heads[anna] = 6 }, []Fault{Hole}, "its counter says 6"},
		{"the counter is behind", func(h *History) { h.Heads[anna] = 4 }, []Fault{Hole}, "its counter says 4"},
		{"an empty stream with a counter", func(h *History) { h.Heads[other] = 1 }, []Fault{Hole}, "is empty"},

		{"an event is skipped", func(h *History) {
			messages(h).Connections[2].Received = messages(h).Connections[2].Received[1:]
		}, []Fault{Missed}, "messages: never received number 4, MessageStatusChanged of " + sent.String()},
		{"the last event is missing", func(h *History) {
			messages(h).Connections[2].Received = messages(h).Connections[2].Received[:1]
		}, []Fault{Missed}, "never received number 5"},
		{"the first event is missing", func(h *History) {
			h.Listeners[1].Connections[0].Received = nil
		}, []Fault{Missed}, "notifications: never received number 3, NotificationMade"},
		{"another event under a number", func(h *History) {
			messages(h).Connections[0].Received[0].Subject = other
		}, []Fault{Phantom}, "received number 2, MessageReceived of " + other.String()},
		{"another type under a number", func(h *History) {
			messages(h).Connections[0].Received[0].Type = "MessageStatusChanged"
		}, []Fault{Phantom}, "the log has MESSAGE_RECEIVED"},
		{"an event of the other subscription", func(h *History) {
			messages(h).Connections[0].Received = append(messages(h).Connections[0].Received, Received{3, "NotificationMade", made})
			messages(h).Connections[1].After, messages(h).Connections[2].After = 3, 3
		}, []Fault{Phantom}, "received number 3, NotificationMade"},
		{"beyond the head", func(h *History) {
			messages(h).Connections[2].Received = append(messages(h).Connections[2].Received, Received{6, "MessageReceived", other})
		}, []Fault{Phantom}, "the log has no such number"},
		{"an event that was taken back", func(h *History) {
			conns := messages(h).Connections
			conns[1].Received = []Received{{4, "MessageReceived", other}}
			conns[2].After = 4
			conns[2].Received = conns[2].Received[1:]
		}, []Fault{Phantom}, "received number 4, MessageReceived of " + other.String()},
		{"an event twice on a connection", func(h *History) {
			r := messages(h).Connections[2].Received
			messages(h).Connections[2].Received = []Received{r[0], r[0], r[1]}
		}, []Fault{Again}, "received number 4, MessageStatusChanged of " + sent.String() + " after number 4"},
		{"an event again after coming back", func(h *History) {
			messages(h).Connections[2].Received = append([]Received{{2, "MessageReceived", came}}, messages(h).Connections[2].Received...)
		}, []Fault{Again}, "connection 2 received number 2"},
		{"two events in the wrong order", func(h *History) { slices.Reverse(messages(h).Connections[2].Received) }, []Fault{Again}, "after number 5"},
		{"a connection from elsewhere", func(h *History) { messages(h).Connections[1].After = 1 }, []Fault{Again}, "connection 1 began at 1, not at 2"},
		{"a cursor is refused", func(h *History) { messages(h).Connections[1].Refused = "CURSOR_EXPIRED" }, []Fault{Refused}, "after number 2: CURSOR_EXPIRED"},

		{"two that left in order", func(h *History) {
			another(h, models.StatusSent)
			h.Handed = append(h.Handed, Handed{next, wei, "and more"})
		}, nil, ""},
		{"a second that waits", func(h *History) { another(h, models.StatusQueued) }, nil, ""},
		{"a second in hand", func(h *History) {
			another(h, models.StatusQueued)
			h.Handed = append(h.Handed, Handed{next, wei, "and more"})
		}, nil, ""},
		{"an unknown one that arrived", func(h *History) { h.Messages[1].Status = models.StatusUnknown }, nil, ""},
		{"an unknown one that did not", func(h *History) { h.Messages[1].Status, h.Handed = models.StatusUnknown, nil }, nil, ""},
		{"a failed one that did not", func(h *History) { h.Messages[1].Status, h.Handed = models.StatusFailed, nil }, nil, ""},
		{"a queued one that did not", func(h *History) {
			h.Messages[1].Status, h.Handed = models.StatusQueued, nil
			h.Events, h.Heads[anna] = h.Events[:4], 4
			messages(h).Connections[2].Received = messages(h).Connections[2].Received[:1]
		}, nil, ""},
		{"another customer's overtake", func(h *History) {
			another(h, models.StatusSent)
			h.Messages[2].CustomerID, h.Events[5].Customer, h.Events[6].Customer = other, other, other
			h.Handed = []Handed{{next, other, "and more"}, h.Handed[0]}
		}, nil, ""},
		{"SENT and never handed over", func(h *History) { h.Handed = nil }, []Fault{Unsent}, "is SENT, the platform never received it"},
		{"handed over twice", func(h *History) { h.Handed = append(h.Handed, h.Handed[0]) }, []Fault{Double}, "(SENT) 2 times"},
		{"an unknown one handed over twice", func(h *History) {
			h.Messages[1].Status = models.StatusUnknown
			h.Handed = append(h.Handed, h.Handed[0])
		}, []Fault{Double}, "(UNKNOWN) 2 times"},
		{"FAILED and handed over", func(h *History) {
			h.Messages[1].Status, h.Messages[1].FailureReason = models.StatusFailed, models.FailedNoChannel
		}, []Fault{Denied}, "is FAILED (CHANNEL_UNAVAILABLE), the platform received it"},
		{"handed over and not stored", func(h *History) {
			h.Handed = append(h.Handed, Handed{other, wei, "from nowhere"})
		}, []Fault{Phantom}, "the platform received message " + other.String() + ", which is not stored"},
		{"handed over with another text", func(h *History) { h.Handed[0].Text = "well come" }, []Fault{Phantom}, `as "well come"`},
		{"handed over to another customer", func(h *History) { h.Handed[0].Customer = other }, []Fault{Phantom}, "to customer " + other.String()},
		{"what the customer wrote handed over", func(h *History) {
			h.Handed = append(h.Handed, Handed{came, wei, "hello"})
		}, []Fault{Phantom}, "the platform received message " + came.String()},
		{"two that left in the wrong order", func(h *History) {
			another(h, models.StatusSent)
			h.Handed = []Handed{{next, wei, "and more"}, h.Handed[0]}
		}, []Fault{Disorder}, "before " + sent.String()},
		{"an unknown one after what was queued behind it", func(h *History) {
			another(h, models.StatusSent)
			h.Messages[1].Status = models.StatusUnknown
			h.Handed = []Handed{{next, wei, "and more"}, h.Handed[0]}
		}, []Fault{Disorder}, "before " + sent.String()},
		{"past one that waits", func(h *History) {
			another(h, models.StatusSent)
			h.Messages[1].Status = models.StatusQueued
			h.Events = slices.Delete(h.Events, 4, 5)
			h.Events[4].Seq, h.Events[5].Seq, h.Heads[anna] = 5, 6, 6
			h.Listeners = nil
			h.Handed = []Handed{{next, wei, "and more"}}
		}, []Fault{Disorder}, "is QUEUED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := good()
			tt.spoil(h)
			found := Check(h)
			faults, said := make([]Fault, len(found)), ""
			for i, v := range found {
				faults[i] = v.Fault
				said += v.String() + "\n"
			}
			if !slices.Equal(faults, tt.want) || !strings.Contains(said, tt.says) {
				t.Errorf("faults %v, want %v that say %q; they say\n%s", faults, tt.want, tt.says, said)
			}
		})
	}
}
