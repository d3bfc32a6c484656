package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"clientele/internal/apiclient"
)

// The two subscriptions of an advisor's app. MessagesDocument is also what the demo prints to be
// pasted into GraphiQL: what works here works there.
const (
	notificationsDocument = `subscription Notifications($after: String) {
  notifications(after: $after) {
    __typename
    ... on Event { sequence }
    ... on NotificationMade { notification { kind count bindingSource customer { openid nickname } } }
  }
}`

	// MessagesDocument is a subscription to everything that happens in an advisor's conversations.
	MessagesDocument = `subscription Messages($after: String) {
  messages(after: $after) {
    __typename
    ... on Event { cursor sequence at }
    ... on MessageReceived {
      message { content { ...text } }
      conversation { unreadCount customer { openid nickname } }
    }
    ... on MessageStatusChanged {
      message { status failure content { ...text } conversation { customer { openid nickname } } }
    }
    ... on ConversationChanged {
      conversation { unreadCount customer { openid nickname followState } }
    }
    ... on CustomerLeft { customerId }
  }
}
fragment text on MessageContent { __typename ... on TextContent { text } }`
)

// advisorApp is the app of one advisor: one connection with a subscription to notifications, and one to
// messages while the app is open. Whatever ends the connection, it comes back behind the last
// event it was told of. It is safe for concurrent use.
type advisorApp struct {
	name     string
	nickname string
	self     bearer
	client   *http.Client
	url      string
	tell     func(line string)
	log      *slog.Logger

	mu     sync.Mutex
	socket *socket // nil while there is no connection
	isOpen bool
	// openings counts subscriptions to messages, each of which has an id of its own: what is still
	// on its way for one that was ended must not be taken for an event of the next.
	openings int
	// seen is the cursor of the last event of each subscription.
	seen struct{ notifications, messages string }
}

const notificationsID = "notifications"

func (a *advisorApp) messagesID() string { return fmt.Sprintf("messages-%d", a.openings) }

// start sets the app to the present end of its stream, so that every later event is told.
func (a *advisorApp) start(ctx context.Context) error {
	var out struct{ EventCursor string }
	if err := a.self.ask(ctx, `{ eventCursor }`, nil, &out); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen.notifications, a.seen.messages = out.EventCursor, out.EventCursor
	return nil
}

// comeBack is how long an app waits before it connects again.
const comeBack = time.Second

// run keeps the app connected until ctx ends.
func (a *advisorApp) run(ctx context.Context) {
	for {
		err := a.connection(ctx)
		if ctx.Err() != nil {
			return
		}
		a.log.WarnContext(ctx, "an advisor's connection ended", "advisor", a.name, "error", err)
		if rest(ctx, comeBack) != nil {
			return
		}
	}
}

// connection is one connection, from beginning to end.
func (a *advisorApp) connection(ctx context.Context) error {
	s, err := dial(ctx, a.client, a.url, a.self.api.Token)
	if err != nil {
		return err
	}
	// A read that is cut off by its context would leave the server without a goodbye.
	stop := context.AfterFunc(ctx, s.close)
	defer func() {
		a.mu.Lock()
		a.socket = nil
		a.mu.Unlock()
		if stop() {
			s.close()
		}
	}()
	lasting := context.WithoutCancel(ctx)
	if err := a.connected(lasting, s); err != nil {
		return err
	}
	for {
		f, err := s.receive(lasting)
		if err != nil {
			return err
		}
		if err := a.receive(ctx, f); err != nil {
			return err
		}
	}
}

func (a *advisorApp) connected(ctx context.Context, s *socket) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.socket = s
	if err := s.subscribe(ctx, notificationsID, notificationsDocument, a.seen.notifications); err != nil {
		return err
	}
	if !a.isOpen {
		return nil
	}
	return a.subscribeMessages(ctx)
}

// subscribeMessages is called with mu held.
func (a *advisorApp) subscribeMessages(ctx context.Context) error {
	a.openings++
	return a.socket.subscribe(ctx, a.messagesID(), MessagesDocument, a.seen.messages)
}

// open subscribes to messages, behind what was seen when the app was open last. Without a
// connection it does so once there is one.
func (a *advisorApp) open(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isOpen {
		return nil
	}
	a.isOpen = true
	if a.socket == nil {
		return nil
	}
	return a.subscribeMessages(ctx)
}

// close ends the subscription to messages.
func (a *advisorApp) close(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.isOpen {
		return nil
	}
	a.isOpen = false
	if a.socket == nil {
		return nil
	}
	return a.socket.complete(ctx, a.messagesID())
}

// receive deals with a message of the server.
func (a *advisorApp) receive(ctx context.Context, f frame) error {
	a.mu.Lock()
	isCurrent := f.ID == notificationsID || a.isOpen && f.ID == a.messagesID()
	a.mu.Unlock()
	if !isCurrent {
		return nil
	}
	switch f.Type {
	case "next":
		return a.next(ctx, f)
	case "error":
		var errs []*apiclient.Refusal
		if err := json.Unmarshal(f.Payload, &errs); err != nil {
			return err
		}
		for _, e := range errs {
			if e.Extensions.Code == "CURSOR_EXPIRED" {
				// What was missed cannot be had any more; go on from now.
				if err := a.start(ctx); err != nil {
					return err
				}
			}
		}
		if len(errs) > 0 {
			return errs[0]
		}
		return fmt.Errorf("subscription %s ended", f.ID)
	case "complete":
		return fmt.Errorf("subscription %s ended", f.ID)
	}
	return nil
}

func (a *advisorApp) next(ctx context.Context, f frame) error {
	var payload struct {
		Data struct {
			Notifications, Messages *event
		}
		Errors     []*apiclient.Refusal
		Extensions struct{ Cursor string }
	}
	if err := json.Unmarshal(f.Payload, &payload); err != nil {
		return err
	}
	a.mu.Lock()
	if f.ID == notificationsID {
		a.seen.notifications = payload.Extensions.Cursor
	} else {
		a.seen.messages = payload.Extensions.Cursor
	}
	a.mu.Unlock()
	if len(payload.Errors) > 0 {
		a.log.WarnContext(ctx, "an event came with an error", "advisor", a.name, "error", payload.Errors[0])
	}
	for _, e := range []*event{payload.Data.Notifications, payload.Data.Messages} {
		if e != nil {
			a.tell(a.line(e))
		}
	}
	return nil
}

// event is what both subscriptions push.
type event struct {
	Type         string `json:"__typename"`
	Sequence     int64
	CustomerID   string
	Conversation *conversation
	Message      *struct {
		Status       string
		Failure      *string
		Conversation *conversation
	}
	Notification *struct {
		Kind          string
		Count         int
		BindingSource *string
		Customer      *customer
	}
}

type conversation struct {
	UnreadCount int
	Customer    customer
}

type customer struct {
	OpenID      string
	Nickname    *string
	FollowState string
}

// tailRunes is how much of an id a line shows: enough to tell people apart.
const tailRunes = 6

func tail(id string) string {
	if len(id) <= tailRunes {
		return id
	}
	return "…" + id[len(id)-tailRunes:]
}

func (c *customer) String() string {
	if c == nil {
		return "-"
	}
	if c.Nickname != nil && *c.Nickname != "" {
		return *c.Nickname
	}
	return tail(c.OpenID)
}

// line tells of an event: when it came, to whom, what, about whom, its number, and a word more. No text
// that anybody wrote is in it.
func (a *advisorApp) line(e *event) string {
	kind, about, more := e.Type, "-", ""
	switch {
	case e.Notification != nil:
		kind, about = e.Notification.Kind, e.Notification.Customer.String()
		if e.Notification.BindingSource != nil {
			more = *e.Notification.BindingSource
		}
		if e.Notification.Kind == "CUSTOMER_INQUIRY" {
			more = fmt.Sprintf("count %d", e.Notification.Count)
		}
	case e.Type == "MessageReceived" && e.Conversation != nil:
		kind, about = "MESSAGE_RECEIVED", e.Conversation.Customer.String()
		more = fmt.Sprintf("unread %d", e.Conversation.UnreadCount)
	case e.Message != nil && e.Message.Conversation != nil:
		kind, about = "MESSAGE_"+e.Message.Status, e.Message.Conversation.Customer.String()
		if e.Message.Failure != nil {
			more = *e.Message.Failure
		}
	case e.Conversation != nil:
		kind, about = "CONVERSATION_CHANGED", e.Conversation.Customer.String()
		more = fmt.Sprintf("unread %d", e.Conversation.UnreadCount)
		if e.Conversation.Customer.FollowState == "UNFOLLOWED" {
			more = "unfollowed"
		}
	case e.Type == "CustomerLeft":
		kind, about = "CUSTOMER_LEFT", tail(e.CustomerID)
	case e.Type == "Withdrawn":
		kind = "WITHDRAWN"
	}
	return strings.TrimRight(fmt.Sprintf("%s  %s %s  %-20s  %-8s  #%-5d %s",
		time.Now().Format(time.TimeOnly), a.name, a.nickname, kind, about, e.Sequence, more), " ")
}
