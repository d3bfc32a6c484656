package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gobwas/ws"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/internal/transport"
)

func tick(id string, n int) string {
	return fmt.Sprintf(`{"id":%q,"type":"next","payload":{"data":{"ticks":"%d"},"extensions":{"cursor":"%d"}}}`, id, n, n)
}

func complete(id string) string { return fmt.Sprintf(`{"id":%q,"type":"complete"}`, id) }

func TestOperations(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	for name, test := range map[string]struct {
		query string
		want  []string
	}{
		"query":    {`{viewer}`, []string{`{"id":"1","type":"next","payload":{"data":{"viewer":null}}}`, complete("1")}},
		"mutation": {`mutation{bump}`, []string{`{"id":"1","type":"next","payload":{"data":{"bump":1}}}`, complete("1")}},
		"field error": {`{fail viewer}`, []string{
			`{"id":"1","type":"next","payload":{"errors":[{"message":"failed","path":["fail"],"extensions":{"code":"STATE"}}],"data":{"fail":null,"viewer":null}}}`,
			complete("1"),
		}},
		"panic": {`{boom}`, []string{
			`{"id":"1","type":"next","payload":{"errors":[{"message":"recovered","path":["boom"]}],"data":{"boom":null}}}`,
			complete("1"),
		}},
		"syntax": {`{`, []string{
			`{"id":"1","type":"error","payload":[{"message":"Expected Name, found <EOF>","locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`,
		}},
		"validation": {`subscription{nothing}`, []string{
			`{"id":"1","type":"error","payload":[{"message":"Cannot query field \"nothing\" on type \"Subscription\".","locations":[{"line":1,"column":14}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`,
		}},
		"refused": {`subscription{refused}`, []string{
			`{"id":"1","type":"error","payload":[{"message":"not you","path":["refused"],"locations":[{"line":1,"column":14}],"extensions":{"code":"FORBIDDEN"}}]}`,
		}},
		"panic at open": {`subscription{boom}`, []string{`{"id":"1","type":"error","payload":[{"message":"recovered","path":["boom"]}]}`}},
		"parked and failed": {`subscription{both}`, []string{
			`{"id":"1","type":"error","payload":[{"message":"failed after all","path":["both"],"locations":[{"line":1,"column":14}]}]}`,
		}},
		"channel": {`subscription{count(to:2)}`, []string{
			`{"id":"1","type":"next","payload":{"data":{"count":1}}}`, `{"id":"1","type":"next","payload":{"data":{"count":2}}}`, complete("1"),
		}},
		"empty channel": {`subscription{count(to:0)}`, []string{complete("1")}},
		"deferred": {`{... @defer {viewer} ...F @defer} fragment F on Query {v: viewer}`, []string{
			`{"id":"1","type":"next","payload":{"data":{"viewer":null,"v":null}}}`, complete("1"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.connect(t)
			c.subscribe("1", test.query)
			c.want(test.want...)
			// Nothing follows, and the id is free.
			c.send(`{"type":"complete","id":"1"}`, `{"type":"complete","id":"unknown"}`)
			c.subscribe("1", "{viewer}")
			c.want(`{"id":"1","type":"next","payload":{"data":{"viewer":null}}}`, complete("1"))
		})
	}
	t.Run("variables, name and odd ids", func(t *testing.T) {
		c := s.connect(t)
		c.send(`{"type":"subscribe","id":"<\"é\\","payload":{"query":"query A{boom} query B($v:Int){echo(value:$v)}","operationName":"B",` +
			`"variables":{"v":123},"extensions":{}}}`)
		c.want(`{"id":"<\"é\\","type":"next","payload":{"data":{"echo":123}}}`, `{"id":"<\"é\\","type":"complete"}`)
	})
	t.Run("panic outside of resolvers", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.gql.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
			panic("interceptor")
		})
		c := s.connect(t)
		for _, query := range []string{"{viewer}", "subscription{ticks}", "subscription{silent}"} {
			c.subscribe("1", query)
			c.want(`{"id":"1","type":"error","payload":[{"message":"recovered"}]}`)
		}
	})
	t.Run("panic in a mutator", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.gql.Use(mutator(func() *gqlerror.Error { panic("mutator") }))
		c := s.connect(t)
		c.subscribe("1", "{viewer}")
		c.want(`{"id":"1","type":"error","payload":[{"message":"recovered"}]}`)
	})
	t.Run("refused by a mutator", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.gql.Use(mutator(func() *gqlerror.Error { return gqlerror.Errorf("too complex") }))
		c := s.connect(t)
		c.subscribe("1", "subscription{ticks}")
		c.want(`{"id":"1","type":"error","payload":[{"message":"too complex"}]}`)
	})
}

// mutator is an extension that may refuse an operation.
type mutator func() *gqlerror.Error

func (m mutator) ExtensionName() string { return "Mutator" }

func (m mutator) Validate(graphql.ExecutableSchema) error { return nil }

func (m mutator) MutateOperationContext(context.Context, *graphql.OperationContext) *gqlerror.Error {
	return m()
}

// unreadable has the event with a cursor be one of which something cannot be had, once.
func unreadable(cursor string) graphql.ResponseMiddleware {
	var once sync.Once
	return func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		resp := next(ctx)
		if event, ok := transport.EventFromContext(ctx); ok && event.Cursor == cursor {
			once.Do(func() {
				resp.Errors = gqlerror.List{{Message: "not now", Extensions: map[string]any{"code": transport.CodeUnavailable}}}
			})
		}
		return resp
	}
}

func TestParked(t *testing.T) {
	t.Run("from the position, in order, with cursors", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.stream.push(40)
		c := s.connect(t)
		c.send(`{"type":"subscribe","id":"a","payload":{"query":"subscription($n:Int){ticks(after:$n)}","variables":{"n":3}}}`)
		for n := 4; n <= 40; n++ {
			c.want(tick("a", n))
		}
		s.stream.push(1)
		c.want(tick("a", 41))
		s.stream.push(2)
		c.want(tick("a", 42), tick("a", 43))
		s.stream.finish(io.EOF)
		c.want(complete("a"))
		c.subscribe("a", "{viewer}")
		c.want(`{"id":"a","type":"next","payload":{"data":{"viewer":null}}}`, complete("a"))
	})
	t.Run("ended by an error, after the events", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.stream.push(1)
		s.stream.end = &gqlerror.Error{Message: "too old", Extensions: map[string]any{"code": "CURSOR_EXPIRED"}}
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		c.want(tick("a", 1), `{"id":"a","type":"error","payload":[{"message":"too old","extensions":{"code":"CURSOR_EXPIRED"}}]}`)
		c.send(`{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
	})
	t.Run("ended with the connection, after the events", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.stream.push(1)
		s.stream.end = fmt.Errorf("wrapped: %w", &transport.CloseError{Code: 4403, Reason: "removed"})
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		c.want(tick("a", 1))
		if messages := c.wantClose(4403); len(messages) > 0 {
			t.Fatalf("messages %q", messages)
		}
	})
	t.Run("stopped by the client", func(t *testing.T) {
		var opened, closed atomic.Int64
		s := serve(t, transport.WebSocketOptions{Hooks: transport.Hooks{
			SubscriptionOpened: func() { opened.Add(1) }, SubscriptionClosed: func() { closed.Add(1) },
		}})
		s.stream.push(1)
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		c.want(tick("a", 1))
		c.send(`{"type":"complete","id":"a"}`)
		eventually(t, "the source is closed", func() bool { _, closed := s.stream.counts(); return closed == 1 })
		s.stream.push(5)
		c.send(`{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
		eventually(t, "the hooks agree", func() bool { return opened.Load() == 1 && closed.Load() == 1 })
	})
	t.Run("an event that fails", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.onEvent = func(_ context.Context, event transport.Event) error {
			switch event.Cursor {
			case "1":
				return errors.New("not for you")
			case "2":
				panic("event")
			}
			return nil
		}
		s.stream.push(3)
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		c.want(`{"id":"a","type":"next","payload":{"errors":[{"message":"not for you","path":["ticks"],"locations":[{"line":1,"column":14}]}],`+
			`"data":null,"extensions":{"cursor":"1"}}}`,
			`{"id":"a","type":"next","payload":{"errors":[{"message":"recovered","path":["ticks"]}],"data":null,"extensions":{"cursor":"2"}}}`,
			tick("a", 3))
	})
	t.Run("an event that takes too long", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{Timeout: 50 * time.Millisecond})
		s.onEvent = func(ctx context.Context, event transport.Event) error {
			if event.Cursor == "2" {
				<-ctx.Done()
			}
			return nil
		}
		s.gql.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
			response := next(ctx)
			if ctx.Err() != nil {
				return func(context.Context) *graphql.Response { return nil }
			}
			return response
		})
		s.stream.push(3)
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		c.want(tick("a", 1))
		c.wantClose(1013)
	})
	t.Run("an event that cannot be read now", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		s.gql.AroundResponses(unreadable("2"))
		s.stream.push(3)
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		c.want(tick("a", 1))
		if messages := c.wantClose(1013); len(messages) > 0 {
			t.Fatalf("messages %q", messages)
		}
		c = s.connect(t)
		c.subscribe("a", "subscription{ticks(after:1)}")
		c.want(tick("a", 2), tick("a", 3))
	})
	t.Run("events that are pushed together", func(t *testing.T) {
		const n = 40 // more than a turn has
		s := serve(t, transport.WebSocketOptions{})
		var calls, kept atomic.Int64
		s.gql.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
			calls.Add(1)
			return next(ctx)
		})
		// An interceptor that keeps an event back, or fails, has not looked into the resolver's channel: what follows must not shift.
		s.gql.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
			event, ok := transport.EventFromContext(ctx)
			switch {
			case ok && event.Cursor == "3":
				kept.Add(1)
				return nil
			case ok && event.Cursor == "5":
				panic("response")
			case ok && event.Cursor == "7":
				kept.Add(1)
				return &graphql.Response{Data: []byte(`{"ticks":"instead"}`)}
			}
			return next(ctx)
		})
		s.stream.push(n)
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		for i := 1; i <= n; i++ {
			switch i {
			case 3:
			case 5:
				c.want(`{"id":"a","type":"next","payload":{"errors":[{"message":"recovered"}],"data":null,"extensions":{"cursor":"5"}}}`)
			case 7:
				c.want(`{"id":"a","type":"next","payload":{"data":{"ticks":"instead"},"extensions":{"cursor":"7"}}}`)
			default:
				c.want(tick("a", i))
			}
		}
		// The opening, a call for each turn of 16, and one more after each of the three.
		if calls.Load() > 1+3+3 || kept.Load() != 2 {
			t.Errorf("%d calls, %d responses kept back", calls.Load(), kept.Load())
		}
	})
	t.Run("values and names reach the events", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{
			Init: func(ctx context.Context, _ *transport.Conn, p map[string]any, _ http.Header) (context.Context, time.Time, error) {
				return context.WithValue(ctx, viewerKey{}, p["token"]), time.Time{}, nil
			},
		})
		s.onEvent = func(ctx context.Context, _ transport.Event) error {
			opCtx := graphql.GetOperationContext(ctx)
			return fmt.Errorf("%v %s %v %v", ctx.Value(viewerKey{}), opCtx.OperationName, opCtx.Variables["yes"], opCtx.Extensions["x"])
		}
		const query = `subscription A{ticks} subscription B($n:Int,$yes:Boolean!){ticks(after:$n)@include(if:$yes)}`
		var clients []*client
		for i := range 3 {
			c := s.connectAs(t, fmt.Sprint("viewer", i))
			c.send(fmt.Sprintf(`{"type":"subscribe","id":"a","payload":{"query":%q,"operationName":"B","variables":{"n":%d,"yes":true},"extensions":{"x":%d}}}`,
				query, i, i))
			clients = append(clients, c)
		}
		eventually(t, "all are parked", func() bool { return s.stream.attached() == 3 })
		s.stream.push(3)
		for i, c := range clients {
			if got, want := c.read(), fmt.Sprintf("viewer%d B true %d", i, i); !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

// connectAs opens a connection with a token.
func (s *server) connectAs(tb testing.TB, token string) *client {
	tb.Helper()
	c := s.dial(tb)
	c.send(fmt.Sprintf(`{"type":"connection_init","payload":{"token":%q}}`, token))
	c.want(`{"type":"connection_ack"}`)
	return c
}

func TestParkElsewhere(t *testing.T) {
	if err := transport.Park(t.Context(), nil); !errors.Is(err, transport.ErrCannotPark) {
		t.Fatalf("got %v", err)
	}
	_, err := transport.Stream[int](t.Context(), func(context.Context) (transport.Source, error) {
		t.Error("opened for nothing")
		return nil, nil
	})
	if !errors.Is(err, transport.ErrCannotPark) {
		t.Fatalf("got %v", err)
	}
	if _, ok := transport.EventFromContext(t.Context()); ok {
		t.Fatal("an event from nowhere")
	}
	if _, ok := transport.ConnFromContext(t.Context()); ok {
		t.Fatal("a connection from nowhere")
	}
}

func TestFairness(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	const events = 200
	s.stream.push(events)
	c := s.connect(t)
	ids := []string{"a", "b", "c"}
	for _, id := range ids {
		c.subscribe(id, "subscription{ticks(after:"+fmt.Sprint(events)+")}")
	}
	eventually(t, "all are parked", func() bool { return s.stream.attached() == len(ids) })
	s.stream.push(events)
	got := map[string]int{}
	for range events * len(ids) {
		message := c.read()
		id := message[7:8]
		got[id]++
		wantJSON(t, message, tick(id, events+got[id]))
		for _, other := range ids {
			if ahead := got[id] - got[other]; ahead > 5*16 {
				t.Fatalf("%s is %d ahead of %s", id, ahead, other)
			}
		}
	}
}

// TestWakeStorm wakes everybody from many goroutines while subscriptions come and go: each event once, in order.
func TestWakeStorm(t *testing.T) {
	var pushed atomic.Int64
	s := serve(t, transport.WebSocketOptions{Hooks: transport.Hooks{EventPushed: func() { pushed.Add(1) }}})
	const clients, pushers, each = 8, 8, 100
	var readers, writers sync.WaitGroup
	for range clients {
		c := s.connect(t)
		c.subscribe("a", "subscription{ticks}")
		readers.Go(func() {
			for n := 1; n <= pushers*each; n++ {
				wantJSON(t, c.read(), tick("a", n))
			}
		})
	}
	for range pushers {
		writers.Go(func() {
			for range each {
				s.stream.push(1)
				s.stream.change(func() {})
			}
		})
	}
	writers.Wait()
	readers.Wait()
	eventually(t, "all are counted", func() bool { return pushed.Load() == clients*pushers*each })
}

// TestCloseRaces ends connections in every way at once while events flow. The fixture and the race detector tell what is wrong.
func TestCloseRaces(t *testing.T) {
	conns := make(chan *transport.Conn, 1)
	s := serve(t, transport.WebSocketOptions{
		Init: func(ctx context.Context, conn *transport.Conn, _ map[string]any, _ http.Header) (context.Context, time.Time, error) {
			conns <- conn
			return ctx, time.Now().Add(time.Hour), nil
		},
	})
	for round := range 40 {
		c := s.connect(t)
		conn := <-conns
		for i := range 10 {
			c.subscribe(fmt.Sprint(i), []string{"subscription{ticks}", "subscription{count(to:1000000)}", "{slow}"}[i%3])
		}
		var race sync.WaitGroup
		race.Go(func() { s.stream.push(20) })
		race.Go(func() {
			for _, id := range []string{"0", "3", "1"} {
				frame := ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"complete","id":"` + id + `"}`)))
				// The connection may be closed already.
				_, _ = c.conn.Write(ws.MustCompileFrame(frame))
			}
		})
		race.Go(func() {
			switch round % 4 {
			case 0:
				conn.Close(4403, "revoked")
			case 1:
				_ = c.conn.Close()
			case 2:
				s.stream.push(1)
				conn.Close(4403, "revoked")
				conn.Close(1001, "again")
			case 3:
				conn.Close(1013, "later")
				_ = c.conn.Close()
			}
		})
		_, _ = io.Copy(io.Discard, c.conn)
		race.Wait()
		_ = c.conn.Close()
		select {
		case <-s.closes:
		case <-time.After(patience):
			t.Fatal("the connection did not end")
		}
	}
	opened, _ := s.stream.counts()
	eventually(t, "all sources are closed", func() bool { _, closed := s.stream.counts(); return closed == opened })
}

func TestExpiry(t *testing.T) {
	var expires atomic.Pointer[time.Time]
	s := serve(t, transport.WebSocketOptions{
		Init: func(ctx context.Context, _ *transport.Conn, _ map[string]any, _ http.Header) (context.Context, time.Time, error) {
			return ctx, *expires.Load(), nil
		},
	})
	soon := time.Now().Add(300 * time.Millisecond)
	expires.Store(&soon)
	var clients []*client
	for range 20 {
		c := s.connect(t)
		c.subscribe("parked", "subscription{ticks}")
		c.subscribe("channel", "subscription{silent}")
		c.subscribe("query", "{slow}")
		clients = append(clients, c)
	}
	for _, c := range clients {
		if messages := c.wantClose(4403); len(messages) > 0 {
			t.Fatalf("messages before the close: %q", messages)
		}
		wantCode(t, s.closes, 4403)
	}
	if early := time.Until(soon); early > 0 {
		t.Fatalf("closed %v early", early)
	}
}

func TestLimits(t *testing.T) {
	limit := func(id string, n int, what string) string {
		return fmt.Sprintf(`{"id":%q,"type":"error","payload":[{"message":"more than %d %s","extensions":{"code":"LIMIT_EXCEEDED","limit":%d}}]}`,
			id, n, what, n)
	}
	t.Run("subscriptions", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{MaxSubscriptions: 3})
		c := s.connect(t)
		c.subscribe("0", "subscription{ticks}")
		c.subscribe("1", "subscription{silent}")
		c.subscribe("2", "subscription{ticks}")
		c.subscribe("3", "subscription{ticks}")
		c.want(limit("3", 3, "subscriptions on one connection"))
		c.subscribe("4", "{viewer}")
		c.want(`{"id":"4","type":"next","payload":{"data":{"viewer":null}}}`, complete("4"))
		eventually(t, "two are parked", func() bool { return s.stream.attached() == 2 })
		c.send(`{"type":"complete","id":"0"}`)
		eventually(t, "one is parked", func() bool { return s.stream.attached() == 1 })
		c.subscribe("3", "subscription{ticks}")
		eventually(t, "two are parked", func() bool { return s.stream.attached() == 2 })
	})
	t.Run("default is 50, all at once", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		c := s.connect(t)
		for i := range 51 {
			c.subscribe(fmt.Sprint(i), "subscription{ticks}")
		}
		c.want(limit("50", 50, "subscriptions on one connection"))
		eventually(t, "50 are parked", func() bool { return s.stream.attached() == 50 })
		s.stream.push(1)
		for range 50 {
			c.read()
		}
	})
	t.Run("operations", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		c := s.connect(t)
		for i := range 16 {
			c.subscribe(fmt.Sprint(i), "{gate}")
			<-s.entered
		}
		c.subscribe("more", "{gate}")
		c.want(limit("more", 16, "queries and mutations at once on one connection"))
		c.send(`{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
		c.send(`{"type":"complete","id":"0"}`, `{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
		for range 15 {
			s.gate <- struct{}{}
		}
		var ids []string
		for range 30 {
			ids = append(ids, c.read())
		}
		if slices.ContainsFunc(ids, func(message string) bool { return strings.HasPrefix(message, `{"id":"0"`) }) {
			t.Fatalf("a message after the client's complete: %q", ids)
		}
	})
	t.Run("all together", func(t *testing.T) {
		release := make(chan struct{})
		s := serve(t, transport.WebSocketOptions{MaxSubscriptions: 2, MaxOperations: 1})
		s.gql.Use(mutator(func() *gqlerror.Error { <-release; return nil }))
		c := s.connect(t)
		for i := range 4 {
			c.subscribe(fmt.Sprint(i), "subscription{ticks}")
		}
		c.want(limit("3", 3, "operations on one connection"))
		close(release)
		c.want(limit("2", 2, "subscriptions on one connection"))
	})
	t.Run("connections", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{MaxConnections: 2})
		c := s.connect(t)
		s.connect(t)
		if _, resp := s.upgrade(t, subprotocol, nil); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("status %d", resp.StatusCode)
		}
		_ = c.conn.Close()
		<-s.closes
		eventually(t, "there is room", func() bool {
			_, resp := s.upgrade(t, subprotocol, nil)
			return resp.StatusCode == http.StatusSwitchingProtocols
		})
	})
	t.Run("time of a query", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{Timeout: 20 * time.Millisecond})
		c := s.connect(t)
		c.subscribe("1", "{slow}")
		c.want(`{"id":"1","type":"next","payload":{"errors":[{"message":"context deadline exceeded","path":["slow"]}],"data":{"slow":null}}}`, complete("1"))
	})
	t.Run("time of an opening", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{Timeout: 20 * time.Millisecond})
		c := s.connect(t)
		c.subscribe("1", "subscription{slow}")
		c.want(`{"id":"1","type":"error","payload":[{"message":"the subscription took too long to open","extensions":{"code":"UNAVAILABLE"}}]}`)
		c.subscribe("2", "subscription{silent}")
		<-s.entered
	})
}

func TestShutdown(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	ready := s.connect(t)
	ready.subscribe("parked", "subscription{ticks}")
	ready.subscribe("channel", "subscription{silent}")
	ready.subscribe("query", "{slow}")
	fresh := s.dial(t)
	eventually(t, "it is parked", func() bool { return s.stream.attached() == 1 })
	var closing sync.WaitGroup
	closing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.ws.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []*client{ready, fresh} {
		if messages := c.wantClose(1012); len(messages) > 0 {
			t.Fatalf("messages %q", messages)
		}
	}
	closing.Wait()
	if opened, closed := s.stream.counts(); opened != closed {
		t.Fatalf("%d opened, %d closed", opened, closed)
	}
	if _, resp := s.upgrade(t, subprotocol, nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("status %d after Close", resp.StatusCode)
	}
}

func TestShutdownRunsOutOfTime(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	c := s.connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.ws.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	_, _ = io.Copy(io.Discard, c.conn)
	wantCode(t, s.closes, 1012)
}

// TestOpenings lets as many subscriptions open at once as are allowed; the next waits without its time running, and may give up.
func TestOpenings(t *testing.T) {
	const timeout = 300 * time.Millisecond
	s := serve(t, transport.WebSocketOptions{MaxOpenings: 2, Timeout: timeout})
	var opening atomic.Int64
	gate := make(chan struct{})
	s.source = func(context.Context) (transport.Source, error) {
		opening.Add(1)
		<-gate // whatever ctx says: it opens for longer than its time
		return s.stream.open(0, 0), nil
	}
	s.stream.push(1)
	slow := []*client{s.connect(t), s.connect(t)}
	for i, c := range slow {
		c.subscribe("a", "subscription{ticks}")
		eventually(t, "it opens", func() bool { return opening.Load() == int64(i+1) })
	}
	gone, patient := s.connect(t), s.connect(t)
	gone.subscribe("a", "subscription{ticks}")
	patient.subscribe("a", "subscription{ticks}")
	gone.send(`{"type":"ping"}`)
	gone.want(`{"type":"pong"}`)
	gone.send(`{"id":"a","type":"complete"}`)
	for start := time.Now(); time.Since(start) < 2*timeout; {
		patient.send(`{"type":"ping"}`)
		patient.want(`{"type":"pong"}`)
	}
	if n := opening.Load(); n != 2 {
		t.Fatalf("%d open at once", n)
	}
	close(gate)
	for _, c := range slow {
		c.want(`{"id":"a","type":"error","payload":[{"message":"the subscription took too long to open","extensions":{"code":"UNAVAILABLE"}}]}`)
	}
	patient.want(tick("a", 1))
	gone.send(`{"type":"ping"}`)
	gone.want(`{"type":"pong"}`)
	if n := opening.Load(); n != 3 {
		t.Errorf("%d were opened", n)
	}
}
