package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

// What the two kinds of clients ask for: of each event its number, its cursor and its subject.
var subscriptions = map[Topic]string{
	TopicMessages: `subscription($after: String) { messages(after: $after) { __typename
		... on Event { sequence cursor }
		... on MessageReceived { message { id } }
		... on MessageStatusChanged { message { id } }
		... on ConversationChanged { conversation { customer { id } } }
		... on CustomerLeft { customerId } } }`,
	TopicNotifications: `subscription($after: String) { notifications(after: $after) { __typename
		... on Event { sequence cursor }
		... on NotificationMade { notification { id customer { id } } } } }`,
}

// pushed is an event as it comes.
type pushed struct {
	Type         string `json:"__typename"`
	Sequence     int64
	Cursor       string
	Message      struct{ ID string }
	Conversation struct{ Customer struct{ ID string } }
	Notification struct {
		ID       string
		Customer struct{ ID string }
	}
	CustomerID string
}

// listener is a client: it keeps its cursor together with what it received, and comes back with
// it, to the next node, however its connection ended.
type listener struct {
	*rig
	advisor *advisor
	cursor  string
	turn    int
	flaky   bool
	record  Listener

	mu sync.Mutex
	// seen is the numbers of the events about customers, by customer: how the rig knows that
	// something has arrived.
	seen map[models.Key]int64
}

// mostRefusals ends a client to whom the server will not listen.
const mostRefusals = 5

// run listens until ctx ends.
func (l *listener) run(ctx context.Context) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	refusals := 0
	for ctx.Err() == nil && refusals < mostRefusals {
		code, err := l.connect(ctx)
		if code != "" && ctx.Err() == nil {
			refusals++
			last := &l.record.Connections[len(l.record.Connections)-1]
			last.Refused = code
		}
		if err != nil && ctx.Err() == nil {
			l.fault("%s: %v", l.record.Name, err)
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// errLeft ends a connection by the client's own will.
var errLeft = errors.New("left")

// connect is one connection: from the cursor until it breaks. It answers the code of an error
// that is no passing one, and an error when what came cannot be understood.
func (l *listener) connect(ctx context.Context) (refused string, err error) {
	n := l.nodes[l.turn%len(l.nodes)]
	l.turn++
	connecting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, response, err := websocket.Dial(connecting, "ws"+strings.TrimPrefix(n.address(), "http")+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return "", nil // the node is down; it comes back.
	}
	defer conn.CloseNow() //nolint:errcheck // it is over.
	conn.SetReadLimit(1 << 20)
	if !l.initialise(connecting, conn) {
		return "", nil
	}
	subscribe := map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{
		"query": subscriptions[l.record.Topic], "variables": map[string]any{"after": l.cursor},
	}}
	if wsjson.Write(connecting, conn, subscribe) != nil {
		return "", nil
	}
	l.record.Connections = append(l.record.Connections, Connection{After: number(l, l.cursor)})
	for {
		var f frame
		if err := wsjson.Read(ctx, conn, &f); err != nil {
			return "", closed(err)
		}
		refused, err := l.take(ctx, conn, f)
		if errors.Is(err, errLeft) {
			return "", nil
		}
		if refused != "" || err != nil {
			return refused, err
		}
	}
}

// initialise has the token acknowledged; false when the connection broke.
func (l *listener) initialise(ctx context.Context, conn *websocket.Conn) bool {
	hello := map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + l.advisor.token}}
	var f frame
	if wsjson.Write(ctx, conn, hello) != nil || wsjson.Read(ctx, conn, &f) != nil {
		return false
	}
	if f.Type != "connection_ack" {
		l.fault("%s: connection_init was answered with %s %s", l.record.Name, f.Type, f.Payload)
	}
	return f.Type == "connection_ack"
}

// closed is a fault when the server closed the connection for a reason that is the client's.
func closed(err error) error {
	switch code := websocket.CloseStatus(err); code {
	case -1, websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusServiceRestart, websocket.StatusTryAgainLater, websocket.StatusInternalError:
		return nil
	default:
		return fmt.Errorf("the connection was closed with %d", code)
	}
}

type frame struct {
	Type    string
	Payload json.RawMessage
}

// take deals with one message of the server.
func (l *listener) take(ctx context.Context, conn *websocket.Conn, f frame) (refused string, err error) {
	switch f.Type {
	case "ping":
		if wsjson.Write(ctx, conn, map[string]any{"type": "pong"}) != nil {
			return "", errLeft
		}
		return "", nil
	case "error":
		var list []struct {
			Message    string
			Extensions struct{ Code string }
		}
		if err := json.Unmarshal(f.Payload, &list); err != nil || len(list) == 0 {
			return "", fmt.Errorf("an error without errors: %s", f.Payload)
		}
		if list[0].Extensions.Code == string(models.CodeUnavailable) {
			return "", errLeft
		}
		return list[0].Extensions.Code, nil
	case "complete":
		return "", errLeft
	case "next":
		return "", l.event(f.Payload)
	}
	return "", fmt.Errorf("a message of type %s", f.Type)
}

func (l *listener) event(text json.RawMessage) error {
	var payload struct {
		Data       map[string]pushed
		Errors     []any
		Extensions struct{ Cursor string }
	}
	if err := json.Unmarshal(text, &payload); err != nil {
		return err
	}
	e, ok := payload.Data[string(l.record.Topic)]
	if !ok || len(payload.Errors) > 0 || e.Cursor != payload.Extensions.Cursor || number(l, e.Cursor) != e.Sequence {
		return fmt.Errorf("an event that is none: %s", text)
	}
	received, customer := Received{Seq: e.Sequence, Type: e.Type}, ""
	subject := ""
	switch e.Type {
	case "MessageReceived", "MessageStatusChanged":
		subject = e.Message.ID
	case "ConversationChanged":
		subject = e.Conversation.Customer.ID
		customer = subject
	case "CustomerLeft":
		subject = e.CustomerID
	case "NotificationMade":
		subject, customer = e.Notification.ID, e.Notification.Customer.ID
	}
	if subject != "" {
		var err error
		if received.Subject, err = keyOf(subject); err != nil {
			return err
		}
	}
	// What is done about an event and the cursor behind it are kept as one.
	l.cursor = e.Cursor
	connection := &l.record.Connections[len(l.record.Connections)-1]
	connection.Received = append(connection.Received, received)
	if customer != "" {
		key, err := keyOf(customer)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.seen[key] = e.Sequence
		l.mu.Unlock()
	}
	const everySo = 60
	if l.flaky && rand.IntN(everySo) == 0 {
		return errLeft
	}
	return nil
}

// saw is the number of the last event about a customer; 0 without one.
func (l *listener) saw(customer models.Key) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[customer]
}

// number is the place of a cursor in its stream.
func number(tb testing.TB, cursor string) int64 {
	c, err := events.DecodeCursor(cursor, "cursor")
	if err != nil {
		tb.Errorf("a cursor of the server: %v", err)
	}
	return c.Seq
}

// rest bounds how long a run takes to come to rest: a queue whose worker could not record what it
// did stands still until its lease lapses, and what was queued behind it leaves only then.
const rest = limits.DeliveryLease + 4*patience

// settle brings the run to rest: nobody sends, every client has all there is. An advisor's stream
// is at rest when its last event is one that was made for this and has arrived everywhere: a
// follower of their own, who scans their code, makes one event for either subscription.
func (r *rig) settle() {
	r.Helper()
	r.stopSenders()
	r.senders.Wait()
	r.drained()
	// Whoever comes now with the first cursor of all receives everything at once.
	listening, stop := context.WithCancel(context.Background())
	stopOthers := r.stopClients
	r.stopClients = func() { stop(); stopOthers() }
	for i, a := range r.advisors {
		for n, topic := range []Topic{TopicMessages, TopicNotifications} {
			r.listen(listening, a, topic, fmt.Sprintf("latecomer of advisor %d", i), n, false)
		}
	}
	begun := time.Now()
	goals := map[*advisor]int64{}
	for round := 0; len(goals) < len(r.advisors); round++ {
		if time.Since(begun) > rest {
			r.dump()
			r.Fatalf("after %s only %d of %d streams are at rest", rest, len(goals), len(r.advisors))
		}
		markers := map[*advisor]models.Key{}
		for _, a := range r.advisors {
			if goals[a] == 0 {
				markers[a] = r.mark(a, round)
			}
		}
		for a, last := range r.arrived(markers) {
			if last == number(r, r.cursor(a)) {
				goals[a] = last
			}
		}
	}
	for _, l := range r.listeners {
		l.record.Goal = goals[l.advisor]
	}
}

// mark makes events that every client of an advisor sees: a follower.
func (r *rig) mark(a *advisor, round int) models.Key {
	r.Helper()
	marker := &person{rig: r, advisor: a, openid: fmt.Sprintf("marker-%s-%d", a.key, round), random: rand.New(rand.NewPCG(uint64(round), 0))}
	if !marker.follow(r.Context()) {
		r.Fatalf("a marker was not taken: %v", r.told())
	}
	if marker.key.IsZero() {
		r.await("a marker is known", func() (known bool) {
			key, err := marker.lookUp(r.nodes[0])
			marker.key = key
			return err == nil
		})
	}
	return marker.key
}

// arrived waits until every client has what was made for its advisor, and answers the number of
// the last event of it by advisor.
func (r *rig) arrived(markers map[*advisor]models.Key) map[*advisor]int64 {
	r.Helper()
	last := map[*advisor]int64{}
	var waits []*listener
	all := func() bool {
		waits = nil
		for _, l := range r.listeners {
			if marker, ok := markers[l.advisor]; ok {
				seen := l.saw(marker)
				last[l.advisor] = max(last[l.advisor], seen)
				if seen == 0 {
					waits = append(waits, l)
				}
			}
		}
		return len(waits) == 0
	}
	if !r.within(patience, all) {
		r.dump()
		for _, l := range waits {
			r.Logf("%s does not come to the end of its stream", l.record.Name)
		}
		r.Fatalf("%d of %d clients wait in vain; faults: %v", len(waits), len(r.listeners), r.told())
	}
	return last
}
