package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// subscription is one subscription on a WebSocket of its own.
type subscription struct {
	tb     testing.TB
	w      *world
	conn   *websocket.Conn
	frames chan frame
	app    bool // a lease counts it as an open app
	// seen is every answer that came, for the search of another tenant's ids.
	mu   sync.Mutex
	seen []any
}

type frame struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
	closed  websocket.StatusCode
}

// dial opens a WebSocket and has its token acknowledged.
func (w *world) dial(token string) *subscription {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(w.url, "http")+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		w.tb.Fatalf("dial: %v", err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	s := &subscription{tb: w.tb, w: w, conn: conn, frames: make(chan frame, 10_000)}
	w.tb.Cleanup(func() { _ = conn.CloseNow() })
	go s.read()
	s.write(map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + token}})
	return s
}

func (s *subscription) read() {
	for {
		var f frame
		if err := wsjson.Read(context.Background(), s.conn, &f); err != nil {
			f = frame{Type: "closed", closed: websocket.CloseStatus(err)}
			s.frames <- f
			return
		}
		if f.Type != "ping" {
			s.frames <- f
		}
	}
}

func (s *subscription) write(message any) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := wsjson.Write(ctx, s.conn, message); err != nil {
		s.tb.Fatalf("write to the socket: %v", err)
	}
}

// frame is the next message of the server.
func (s *subscription) frame() frame {
	s.tb.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case f := <-s.frames:
		return f
	case <-timeout.C:
		s.tb.Fatal("nothing came over the socket")
	}
	panic("unreachable")
}

// subscribe opens a subscription and returns when the server listens to the stream, so that what
// happens next is pushed. A subscription that is refused returns at once.
func (w *world) subscribe(token, query string, variables map[string]any) *subscription {
	w.tb.Helper()
	s := w.dial(token)
	if f := s.frame(); f.Type != "connection_ack" {
		w.tb.Fatalf("connection_init was answered by %s %s %d", f.Type, f.Payload, f.closed)
	}
	open := w.listening()
	s.app = strings.Contains(query, "messages(")
	s.write(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": query, "variables": variables}})
	w.await("the subscription is open", func() bool {
		return len(s.frames) > 0 || w.listening() > open
	})
	return s
}

// listening is how many subscriptions the server says are open.
func (w *world) listening() (n int) {
	w.tb.Helper()
	text := w.metrics()
	for _, over := range []string{"websocket", "event_stream"} {
		_, rest, _ := strings.Cut(text, "\nclientele_subscriptions{transport=\""+over+"\"} ")
		number, _, _ := strings.Cut(rest, "\n")
		open, err := strconv.Atoi(number)
		if err != nil {
			w.tb.Fatalf("the gauge of subscriptions: %v", err)
		}
		n += open
	}
	return n
}

// leased is how many advisors' apps count as open.
func (w *world) leased() int64 { return w.count("SELECT COUNT(*) FROM app_lease") }

// swept is leased once what has lapsed was swept, which nobody has to wait for.
func (w *world) swept() int64 {
	w.tb.Helper()
	if _, err := w.Services.SweepApps(context.Background()); err != nil {
		w.tb.Fatal(err)
	}
	return w.leased()
}

// next is the next event: the value of the subscription's one field. Its cursor is that of the
// response's extensions.
func (s *subscription) next() map[string]any {
	s.tb.Helper()
	event, err := s.decode(s.frame())
	if err != nil {
		s.tb.Fatal(err)
	}
	return event
}

func (s *subscription) decode(f frame) (map[string]any, error) {
	if f.Type != "next" {
		return nil, fmt.Errorf("an event was expected, %s %s %d came", f.Type, f.Payload, f.closed)
	}
	var payload struct {
		Data       map[string]map[string]any `json:"data"`
		Errors     []any                     `json:"errors"`
		Extensions map[string]any            `json:"extensions"`
	}
	if err := json.Unmarshal(f.Payload, &payload); err != nil {
		return nil, err
	}
	if len(payload.Errors) > 0 {
		return nil, fmt.Errorf("the event came with errors: %s", f.Payload)
	}
	var whole any
	_ = json.Unmarshal(f.Payload, &whole)
	s.mu.Lock()
	s.seen = append(s.seen, whole)
	s.mu.Unlock()
	for _, event := range payload.Data {
		if event["cursor"] != nil && event["cursor"] != payload.Extensions["cursor"] {
			return nil, errors.New("the event's cursor is not that of the extensions")
		}
		return event, nil
	}
	return nil, fmt.Errorf("an event without data: %s", f.Payload)
}

// refused is the code of the error that ends the subscription.
func (s *subscription) refused() string {
	s.tb.Helper()
	f := s.frame()
	var failed []gqlFailed
	if f.Type != "error" || json.Unmarshal(f.Payload, &failed) != nil || len(failed) == 0 {
		s.tb.Fatalf("an error was expected, %s %s %d came", f.Type, f.Payload, f.closed)
	}
	return (&answer{Errors: failed}).code()
}

// closed is the code with which the server closes the connection; events before are passed over.
func (s *subscription) closed() int {
	s.tb.Helper()
	for {
		if f := s.frame(); f.Type == "closed" {
			return int(f.closed)
		}
	}
}

// close ends the connection as a client does and returns when the server has forgotten it.
func (s *subscription) close() {
	s.tb.Helper()
	open, leases := s.w.listening(), s.w.leased()
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	s.w.await("the subscription is closed", func() bool {
		return s.w.listening() < open && (!s.app || s.w.swept() < leases)
	})
}

// watchMessages and watchNotifications subscribe an advisor to all there is.
func (t *tenant) watchMessages(who string, after any) *subscription {
	t.tb.Helper()
	return t.subscribe(t.bearer(who, t.account), shared(t.tb, "messages.graphql"), map[string]any{"after": after})
}

func (t *tenant) watchNotifications(who string, after any) *subscription {
	t.tb.Helper()
	return t.subscribe(t.bearer(who, t.account), shared(t.tb, "notifications.graphql"), map[string]any{"after": after})
}

// cursor is the cursor at the head of an advisor's stream.
func (t *tenant) cursor(who string) string {
	t.tb.Helper()
	return t.do(who, `{ eventCursor }`, nil).text("eventCursor")
}
