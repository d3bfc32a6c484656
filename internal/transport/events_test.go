package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"clientele/internal/transport"
)

// streams is a server of event streams beside the others.
type streams struct {
	*server
	events *transport.Events
}

func serveEvents(tb testing.TB, options transport.EventsOptions) *streams {
	tb.Helper()
	s := &streams{events: transport.NewEvents(options)}
	s.server = serveFirst(tb, transport.WebSocketOptions{}, transport.HTTP{}, s.events)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.events.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// sse is an open stream.
type sse struct {
	tb     testing.TB
	resp   *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// event is one event as a client takes it apart.
type event struct{ name, id, data string }

// open asks for a stream by POST, or by GET where body is empty and query is not.
func (s *streams) open(tb testing.TB, body, query string, header http.Header) *sse {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	method, target := http.MethodPost, s.url
	if body == "" {
		method, target = http.MethodGet, s.url+"?"+url.Values{"query": {query}}.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if body != "" {
		r.Header.Set("Content-Type", typeJSON)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
	})
	return &sse{tb: tb, resp: resp, lines: bufio.NewReader(resp.Body), cancel: cancel}
}

func ask(document string) string { return fmt.Sprintf(`{"query":%q}`, document) }

// next is the next event; the name ":" is a comment, "" the end of the stream.
func (s *sse) next() (e event) {
	s.tb.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return event{}
		}
		if err != nil {
			s.tb.Fatalf("read: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n" && e != event{}:
			return e
		case line == "\n":
		case name == "":
			e.name = ":"
		case name == "event":
			e.name = value
		case name == "id":
			e.id = value
		case name == "data":
			e.data += value
		default:
			s.tb.Fatalf("the line %q", line)
		}
	}
}

func (s *sse) want(want ...event) {
	s.tb.Helper()
	for _, w := range want {
		if got := s.next(); got != w {
			s.tb.Fatalf("got %+v, want %+v", got, w)
		}
	}
}

var (
	completed = event{name: "complete"}
	over      = event{}
)

func ticked(n int) event {
	return event{"next", fmt.Sprint(n), fmt.Sprintf(`{"data":{"ticks":"%d"},"extensions":{"cursor":"%d"}}`, n, n)}
}

// Ensure each operation is a stream of its results and of `complete`, which has a line of data; that errors before the execution have no
// data; and that a stream's head keeps proxies and caches from holding it back.
func TestEventStreams(t *testing.T) {
	s := serveEvents(t, transport.EventsOptions{})
	for name, tt := range map[string]struct {
		body, query string
		want        []event
	}{
		"a query":                 {body: ask("{viewer}"), want: []event{{"next", "", `{"data":{"viewer":null}}`}, completed, over}},
		"a query by GET":          {query: "{viewer}", want: []event{{"next", "", `{"data":{"viewer":null}}`}, completed, over}},
		"a mutation":              {body: ask("mutation{bump}"), want: []event{{"next", "", `{"data":{"bump":1}}`}, completed, over}},
		"a channel":               {query: "subscription{count(to:2)}", want: []event{{"next", "", `{"data":{"count":1}}`}, {"next", "", `{"data":{"count":2}}`}, completed, over}},
		"a resolver that refuses": {body: ask("subscription{refused}"), want: []event{{"next", "", `{"errors":[{"message":"not you","path":["refused"],"locations":[{"line":1,"column":14}],"extensions":{"code":"FORBIDDEN"}}]}`}, completed, over}},
		"one that panics":         {body: ask("subscription{boom}"), want: []event{{"next", "", `{"errors":[{"message":"recovered","path":["boom"]}]}`}, completed, over}},
		"one that fails parked":   {body: ask("subscription{both}"), want: []event{{"next", "", `{"errors":[{"message":"failed after all","path":["both"],"locations":[{"line":1,"column":14}]}]}`}, completed, over}},
		"a field too many": {query: "{colour}", want: []event{
			{"next", "", `{"errors":[{"message":"Cannot query field \"colour\" on type \"Query\".","locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`}, completed, over,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.open(t, tt.body, tt.query, nil)
			if c.resp.StatusCode != http.StatusOK || c.resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" ||
				!strings.Contains(c.resp.Header.Get("Cache-Control"), "no-store") || c.resp.Header.Get("X-Accel-Buffering") != "no" {
				t.Errorf("the head is %d %v", c.resp.StatusCode, c.resp.Header)
			}
			c.want(tt.want...)
		})
	}
}

// Ensure a parked subscription tells where it is with each event, that a client that comes back is told from there on, and that its source
// is closed when it leaves.
func TestEventStreamsAreResumed(t *testing.T) {
	s := serveEvents(t, transport.EventsOptions{})
	s.stream.push(2)
	c := s.open(t, "", "subscription{ticks(after:1)}", nil)
	c.want(ticked(2))
	s.stream.push(40)
	for n := 3; n <= 42; n++ {
		c.want(ticked(n))
	}
	c.cancel()
	eventually(t, "the source is closed", func() bool { return s.stream.attached() == 0 })
	if s.stream.lost > 0 {
		t.Error("a client that left is taken for lost")
	}

	var seen atomic.Value
	s.source = func(ctx context.Context) (transport.Source, error) {
		id, ok := transport.LastEventID(ctx)
		seen.Store(fmt.Sprint(id, ok))
		after := 0
		if ok {
			_, _ = fmt.Sscan(id, &after)
		}
		return s.stream.open(after, 0), nil
	}
	back := s.open(t, "", "subscription{ticks(after:1)}", http.Header{"Last-Event-Id": {"41"}})
	back.want(ticked(42))
	if got := seen.Load(); got != "41true" {
		t.Errorf("the id is %v", got)
	}
	s.stream.finish(io.EOF)
	back.want(completed, over)
	s.open(t, "", "subscription{ticks(after:1)}", http.Header{"Last-Event-Id": {strings.Repeat("4", 1<<10+1)}}).next()
	if got := seen.Load(); got != "false" {
		t.Errorf("an id without end is %v", got)
	}
}

// Ensure what ends a stream before its time is told as an event `error` with a code, and by nothing after it; and that a failure of the
// source is a result with errors.
func TestEventStreamsEndBeforeTheirTime(t *testing.T) {
	wantError := func(t *testing.T, c *sse, code string, closeCode int) {
		t.Helper()
		e := c.next()
		if e.name != "error" || !strings.Contains(e.data, `"code":"`+code+`"`) || !strings.Contains(e.data, fmt.Sprintf(`"closeCode":%d`, closeCode)) || !strings.HasPrefix(e.data, "[{") {
			t.Fatalf("got %+v", e)
		}
		c.want(over)
	}
	for name, document := range map[string]string{"parked": "subscription{ticks}", "a channel": "subscription{silent}"} {
		t.Run("expired, "+name, func(t *testing.T) {
			s := serveEvents(t, transport.EventsOptions{Begin: func(ctx context.Context) (context.Context, time.Time) {
				return ctx, time.Now().Add(50 * time.Millisecond)
			}})
			wantError(t, s.open(t, "", document, nil), transport.CodeUnauthenticated, 4403)
		})
		t.Run("closed, "+name, func(t *testing.T) {
			closers := make(chan transport.Closer, 1)
			s := serveEvents(t, transport.EventsOptions{Begin: func(ctx context.Context) (context.Context, time.Time) {
				if c, ok := transport.CloserFromContext(ctx); ok {
					closers <- c
				}
				return ctx, time.Time{}
			}})
			c := s.open(t, "", document, nil)
			closer := <-closers
			closer.Close(transport.CloseForbidden, "revoked")
			closer.Close(transport.CloseTryAgain, "again")
			wantError(t, c, transport.CodeUnauthenticated, 4403)
		})
		t.Run("the server goes, "+name, func(t *testing.T) {
			s := serveEvents(t, transport.EventsOptions{})
			c := s.open(t, "", document, nil)
			if err := s.events.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.want(over)
			if resp, _ := s.do(t, call{method: "GET", query: "query={viewer}", header: accept("text/event-stream")}); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
				t.Errorf("one that comes then: %d", resp.StatusCode)
			}
		})
	}
	s := serveEvents(t, transport.EventsOptions{})
	s.stream.push(1)
	s.stream.finish(&transport.CloseError{Code: transport.CloseTryAgain, Reason: "behind"})
	c := s.open(t, "", "subscription{ticks}", nil)
	c.want(ticked(1))
	wantError(t, c, transport.CodeUnavailable, 1013)
	s.stream.finish(errors.New("broken"))
	s.open(t, "", "subscription{ticks}", nil).want(ticked(1), event{"next", "", `{"errors":[{"message":"broken"}]}`}, completed, over)
}

// Ensure a query, an opening and an event whose time is over are told, and that the last loses no event.
func TestEventStreamsHaveTheirTime(t *testing.T) {
	s := serveEvents(t, transport.EventsOptions{Timeout: 50 * time.Millisecond})
	if e := s.open(t, "", "{slow}", nil).next(); e.name != "next" || !strings.Contains(e.data, "errors") {
		t.Errorf("a slow query: %+v", e)
	}
	if e := s.open(t, "", "subscription{slow}", nil).next(); e.name != "next" || !strings.Contains(e.data, "errors") {
		t.Errorf("a slow opening: %+v", e)
	}
	s.gql.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		if e, ok := transport.EventFromContext(ctx); ok && e.Cursor == "2" {
			<-ctx.Done()
			return nil
		}
		return next(ctx)
	})
	s.stream.push(3)
	c := s.open(t, "", "subscription{ticks}", nil)
	c.want(ticked(1))
	if e := c.next(); e.name != "error" || !strings.Contains(e.data, `"closeCode":1013`) {
		t.Errorf("a slow event: %+v", e)
	}
	c.want(over)
}

// Ensure an event of which something cannot be had now ends the stream with the cursor before it, and comes when the client is back.
func TestEventStreamsTellNoHalfEvents(t *testing.T) {
	s := serveEvents(t, transport.EventsOptions{})
	s.gql.AroundResponses(unreadable("2"))
	s.stream.push(3)
	c := s.open(t, "", "subscription{ticks}", nil)
	c.want(ticked(1))
	if e := c.next(); e.name != "error" || !strings.Contains(e.data, `"closeCode":1013`) {
		t.Errorf("an event that cannot be read now: %+v", e)
	}
	c.want(over)
	s.open(t, "", "subscription{ticks(after:1)}", nil).want(ticked(2), ticked(3))
}

// Ensure a stream on which nothing happens is kept alive by comments.
func TestEventStreamsAreKeptAlive(t *testing.T) {
	s := serveEvents(t, transport.EventsOptions{KeepAlive: 10 * time.Millisecond})
	c := s.open(t, "", "subscription{ticks}", nil)
	c.want(event{name: ":"}, event{name: ":"})
	s.stream.push(1)
	for e := c.next(); e != ticked(1); e = c.next() {
		if e.name != ":" {
			t.Fatalf("got %+v", e)
		}
	}
}

// Ensure requests that are malformed are answered as elsewhere, in JSON, and begin no stream.
func TestEventStreamsRefuse(t *testing.T) {
	s := serveEvents(t, transport.EventsOptions{MaxBody: 200, MaxStreams: 1})
	header := accept("text/event-stream")
	for name, tt := range map[string]struct {
		call
		status int
	}{
		"no JSON":           {call{method: "POST", contentType: typeJSON, body: "{", header: header}, 400},
		"no query":          {call{method: "POST", contentType: typeJSON, body: "{}", header: header}, 400},
		"a form":            {call{method: "POST", contentType: "application/x-www-form-urlencoded", body: "query={viewer}", header: header}, 415},
		"too long":          {call{method: "POST", contentType: typeJSON, body: ask(strings.Repeat("x", 300)), header: header}, 413},
		"a mutation by GET": {call{method: "GET", query: "query=mutation{bump}", header: header}, 405},
		"GET of nothing":    {call{method: "GET", header: header}, 400},
	} {
		resp, body := s.do(t, tt.call)
		if resp.StatusCode != tt.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), typeJSON) || !strings.HasPrefix(body, `{"errors":`) {
			t.Errorf("%s: %d %s %s", name, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
	}
	if n := s.bumps.Load(); n != 0 {
		t.Errorf("%d mutations ran", n)
	}
	s.open(t, "", "subscription{ticks}", nil)
	eventually(t, "it is open", func() bool { return s.stream.attached() == 1 })
	if resp, _ := s.do(t, call{method: "GET", query: "query={viewer}", header: header}); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stream too many: %d", resp.StatusCode)
	}
	if resp, body := s.do(t, call{method: "POST", contentType: typeJSON, body: ask("{viewer}")}); resp.StatusCode != http.StatusOK || body != `{"data":{"viewer":null}}` {
		t.Errorf("a request with one answer meanwhile: %d %s", resp.StatusCode, body)
	}
}

// Ensure who gets a stream is who would rather have one: the clients that name it beside JSON get JSON for what has one answer.
func TestWhoGetsAnEventStream(t *testing.T) {
	events := transport.NewEvents(transport.EventsOptions{})
	for header, want := range map[string]bool{
		"text/event-stream":                   true,
		"text/event-stream; charset=utf-8":    true,
		"text/event-stream, multipart/mixed":  true,
		"text/event-stream, application/json": true,
		"application/json, text/event-stream": false,
		"application/graphql-response+json, application/json, text/event-stream, multipart/mixed": false,
		"application/json;q=0.5, text/event-stream":                                               true,
		"text/event-stream;q=0.5, application/json":                                               false,
		"text/event-stream;q=0":                                                                   false,
		"text/event-stream;q=0.9, */*;q=0.8":                                                      true,
		"*/*":                                                                                     false,
		"text/*":                                                                                  false,
		"":                                                                                        false,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			r, err := http.NewRequestWithContext(t.Context(), method, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", header)
			if got := events.Supports(r); got != (want && method != http.MethodPut) {
				t.Errorf("%s %q: %t", method, header, got)
			}
		}
	}
}

// Ensure a client that stops reading is dropped within the time of a write and told of as lost, and that a thousand streams that come and go leave
// nothing behind.
func TestEventStreamsLeaveNothing(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		s := serveEvents(t, transport.EventsOptions{WriteTimeout: 200 * time.Millisecond})
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		query := url.Values{"query": {"subscription{ticks(size:100000)}"}}.Encode()
		if _, err := fmt.Fprintf(conn, "GET /?%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", query); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is open", func() bool { return s.stream.attached() == 1 })
		s.stream.push(1000)
		eventually(t, "it is dropped", func() bool { return s.stream.attached() == 0 })
		eventually(t, "it was lost", func() bool {
			s.stream.mu.Lock()
			defer s.stream.mu.Unlock()
			return s.stream.lost == 1
		})
	})
	t.Run("many", func(t *testing.T) {
		s := serveEvents(t, transport.EventsOptions{})
		s.stream.push(1)
		s.open(t, "", "subscription{ticks}", nil).want(ticked(1))
		before := runtime.NumGoroutine()
		for range 200 {
			for _, document := range []string{"subscription{ticks}", "subscription{count(to:1)}", "{viewer}", "subscription{silent}", "{colour}"} {
				c := s.open(t, "", document, nil)
				if document != "subscription{silent}" {
					c.next()
				}
				c.cancel()
				_ = c.resp.Body.Close()
			}
		}
		eventually(t, "only the first stream is left", func() bool { return s.stream.attached() == 1 })
		eventually(t, "no goroutine is left", func() bool {
			http.DefaultClient.CloseIdleConnections()
			return runtime.NumGoroutine() <= before+4
		})
	})
}
