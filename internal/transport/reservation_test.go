package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/internal/transport"
)

const (
	tokenHeader = "X-Graphql-Event-Stream-Token"
	// whoHeader names the principal of a test's request.
	whoHeader = "X-Who"
)

type whoKey struct{}

// serveReserved serves event streams of many operations. Who a request is of stands in its header X-Who; nobody is refused.
func serveReserved(tb testing.TB, options transport.EventsOptions) *streams {
	tb.Helper()
	options.Reservations.Principal = func(ctx context.Context) (string, error) {
		switch who, _ := ctx.Value(whoKey{}).(string); who {
		case "":
			return "", &gqlerror.Error{Message: "who?", Extensions: map[string]any{"code": transport.CodeUnauthenticated}}
		case "broken":
			return "", errors.New("the database is away")
		default:
			return who, nil
		}
	}
	s := &streams{events: transport.NewEvents(options)}
	s.server = serveFirst(tb, transport.WebSocketOptions{}, transport.HTTP{}, named{s.events})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.events.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// as is what a request of somebody brings, with a token unless that is empty.
func as(who, token string) http.Header {
	h := http.Header{whoHeader: {who}}
	if token != "" {
		h[tokenHeader] = []string{token}
	}
	return h
}

func (s *streams) status(tb testing.TB, method, query, body string, header http.Header) (int, string) {
	tb.Helper()
	resp, text := s.do(tb, call{method: method, query: query, contentType: typeJSON, body: body, header: header})
	return resp.StatusCode, text
}

func (s *streams) reserve(tb testing.TB, who string) string {
	tb.Helper()
	resp, token := s.do(tb, call{method: http.MethodPut, header: as(who, "")})
	if resp.StatusCode != http.StatusCreated || token == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		tb.Fatalf("PUT: %d %q %v", resp.StatusCode, token, resp.Header)
	}
	return token
}

// reserved opens a stream of anna's.
func (s *streams) reserved(tb testing.TB) (*sse, string) {
	tb.Helper()
	token := s.reserve(tb, "anna")
	c := s.open(tb, "", "", as("anna", token))
	if c.resp.StatusCode != http.StatusOK || !strings.HasPrefix(c.resp.Header.Get("Content-Type"), "text/event-stream") {
		tb.Fatalf("GET: %d %v", c.resp.StatusCode, c.resp.Header)
	}
	return c, token
}

func operation(id, document string) string {
	return fmt.Sprintf(`{"query":%q,"extensions":{"operationId":%q}}`, document, id)
}

func (s *streams) execute(tb testing.TB, token, id, document string) {
	tb.Helper()
	if status, body := s.status(tb, http.MethodPost, "", operation(id, document), as("anna", token)); status != http.StatusAccepted || body != "" {
		tb.Fatalf("POST %s: %d %s", id, status, body)
	}
}

func nexts(id, payload string) event {
	return event{name: "next", data: fmt.Sprintf(`{"id":%q,"payload":%s}`, id, payload)}
}

func completes(id string) event { return event{name: "complete", data: fmt.Sprintf(`{"id":%q}`, id)} }

// Ensure results of all kinds of operations come on the one stream under their ids, and that an id is free again behind its `complete`.
func TestOneStreamCarriesManyOperations(t *testing.T) {
	s := serveReserved(t, transport.EventsOptions{})
	c, token := s.reserved(t)
	s.execute(t, token, "t", "subscription{ticks}")
	eventually(t, "it listens", func() bool { return s.stream.attached() == 1 })
	for range 20 {
		s.execute(t, token, "q", "{viewer}")
		c.want(nexts("q", `{"data":{"viewer":null}}`), completes("q"))
	}
	s.execute(t, token, "m", "mutation{bump}")
	c.want(nexts("m", `{"data":{"bump":1}}`), completes("m"))
	s.execute(t, token, "c", "subscription{count(to:2)}")
	c.want(nexts("c", `{"data":{"count":1}}`), nexts("c", `{"data":{"count":2}}`), completes("c"))
	s.execute(t, token, `"ü`, "{colour}")
	if e := c.next(); e.name != "next" || !strings.HasPrefix(e.data, `{"id":"\"ü","payload":{"errors":[`) {
		t.Errorf("a document that is refused: %+v", e)
	}
	c.want(completes(`"ü`))
	s.stream.push(1)
	c.want(nexts("t", `{"data":{"ticks":"1"},"extensions":{"cursor":"1"}}`))
	s.stream.finish(io.EOF)
	c.want(completes("t"))
	c.cancel()
	eventually(t, "the reservation ends with its stream", func() bool {
		status, _ := s.status(t, http.MethodPost, "", operation("x", "{viewer}"), as("anna", token))
		return status == http.StatusNotFound
	})
}

// Ensure an operation that was sent before the stream is open begins when it opens.
func TestAnOperationWaitsForItsStream(t *testing.T) {
	s := serveReserved(t, transport.EventsOptions{})
	token := s.reserve(t, "anna")
	s.execute(t, token, "q", "mutation{bump}")
	if n := s.bumps.Load(); n != 0 {
		t.Errorf("%d mutations ran before", n)
	}
	c := s.open(t, "", "", http.Header{whoHeader: {"anna"}, tokenHeader: {token}})
	c.want(nexts("q", `{"data":{"bump":1}}`), completes("q"))
}

// Ensure an operation that is stopped says nothing more, frees its id, and leaves the others alone.
func TestAnOperationIsStopped(t *testing.T) {
	s := serveReserved(t, transport.EventsOptions{})
	c, token := s.reserved(t)
	s.execute(t, token, "a", "subscription{ticks}")
	s.execute(t, token, "b", "subscription{ticks}")
	s.execute(t, token, "slow", "{slow}")
	eventually(t, "both listen", func() bool { return s.stream.attached() == 2 })
	for _, id := range []string{"a", "slow", "never-there"} {
		if status, body := s.status(t, http.MethodDelete, "operationId="+id, "", as("anna", token)); status != http.StatusOK {
			t.Fatalf("DELETE %s: %d %s", id, status, body)
		}
	}
	eventually(t, "one listens", func() bool { return s.stream.attached() == 1 })
	s.execute(t, token, "slow", "{viewer}")
	c.want(nexts("slow", `{"data":{"viewer":null}}`), completes("slow"))
	s.stream.push(1)
	c.want(nexts("b", `{"data":{"ticks":"1"},"extensions":{"cursor":"1"}}`))
}

// Ensure requests that name no stream, somebody else's, an open one or an id in use are refused by their status, and run nothing.
func TestReservedStreamsRefuse(t *testing.T) {
	s := serveReserved(t, transport.EventsOptions{MaxBody: 300})
	c, token := s.reserved(t)
	s.execute(t, token, "used", "subscription{ticks}")
	run := operation("x", "mutation{bump}")
	events := func(h http.Header) http.Header { h["Accept"] = []string{"text/event-stream"}; return h }
	for name, tt := range map[string]struct {
		method, query, body string
		header              http.Header
		status              int
	}{
		"reserving as nobody":         {"PUT", "", "", nil, 401},
		"reserving while it is away":  {"PUT", "", "", as("broken", ""), 503},
		"opening as nobody":           {"GET", "", "", as("", token), 401},
		"opening an unknown one":      {"GET", "", "", as("anna", "x"), 404},
		"opening by address":          {"GET", "token=x", "", events(as("anna", "")), 404},
		"opening somebody else's":     {"GET", "", "", as("ben", token), 404},
		"opening a second time":       {"GET", "", "", as("anna", token), 409},
		"executing on no stream":      {"POST", "", run, as("anna", "x"), 404},
		"executing on somebody's":     {"POST", "", run, as("ben", token), 404},
		"executing an id in use":      {"POST", "", operation("used", "mutation{bump}"), as("anna", token), 409},
		"executing without id":        {"POST", "", ask("mutation{bump}"), as("anna", token), 400},
		"executing an id of a number": {"POST", "", `{"query":"mutation{bump}","extensions":{"operationId":1}}`, as("anna", token), 400},
		"executing an id too long":    {"POST", "", operation(strings.Repeat("x", 129), "mutation{bump}"), as("anna", token), 400},
		"executing no JSON":           {"POST", "", "{", as("anna", token), 400},
		"executing too much":          {"POST", "", operation("x", strings.Repeat(" ", 300)+"mutation{bump}"), as("anna", token), 413},
		"stopping without token":      {"DELETE", "operationId=used", "", as("anna", ""), 404},
		"stopping somebody else's":    {"DELETE", "operationId=used", "", as("ben", token), 404},
		"stopping nothing":            {"DELETE", "", "", as("anna", token), 400},
	} {
		status, body := s.status(t, tt.method, tt.query, tt.body, tt.header)
		if status != tt.status || !strings.HasPrefix(body, `{"errors":[`) || strings.Contains(body, token) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if n := s.bumps.Load(); n != 0 {
		t.Errorf("%d mutations ran", n)
	}
	eventually(t, "it listens", func() bool { return s.stream.attached() == 1 })
	s.stream.push(1)
	c.want(nexts("used", `{"data":{"ticks":"1"},"extensions":{"cursor":"1"}}`))
	plain := serveEvents(t, transport.EventsOptions{})
	if status, _ := plain.status(t, "PUT", "", "", as("anna", "")); status != http.StatusMethodNotAllowed {
		t.Errorf("reserving where nobody is known: %d", status)
	}
}

// Ensure reservations and operations are bounded, of one principal and in all, and that one that nobody opens makes room.
func TestReservationsAreBounded(t *testing.T) {
	s := serveReserved(t, transport.EventsOptions{MaxStreams: 1, Reservations: transport.ReservationOptions{MaxPerPrincipal: 2, MaxReservations: 3, MaxOperations: 1}})
	c, token := s.reserved(t)
	second := s.reserve(t, "anna")
	if status, body := s.status(t, "PUT", "", "", as("anna", "")); status != http.StatusTooManyRequests || !strings.Contains(body, `"limit":2`) {
		t.Errorf("a third of anna's: %d %s", status, body)
	}
	s.reserve(t, "ben")
	if status, _ := s.status(t, "PUT", "", "", as("carl", "")); status != http.StatusServiceUnavailable {
		t.Errorf("one too many in all: %d", status)
	}
	if status, _ := s.status(t, "GET", "", "", as("anna", second)); status != http.StatusServiceUnavailable {
		t.Errorf("a stream too many: %d", status)
	}
	s.execute(t, token, "a", "subscription{silent}")
	if status, body := s.status(t, "POST", "", operation("b", "{viewer}"), as("anna", token)); status != http.StatusTooManyRequests || !strings.Contains(body, `"limit":1`) {
		t.Errorf("an operation too many: %d %s", status, body)
	}
	c.cancel()
	eventually(t, "the first makes room", func() bool {
		status, _ := s.status(t, "PUT", "", "", as("anna", ""))
		return status == http.StatusCreated
	})

	brief := serveReserved(t, transport.EventsOptions{Reservations: transport.ReservationOptions{Time: 20 * time.Millisecond, MaxPerPrincipal: 1}})
	lapsed := brief.reserve(t, "anna")
	eventually(t, "what nobody opens makes room", func() bool {
		status, _ := brief.status(t, "PUT", "", "", as("anna", ""))
		return status == http.StatusCreated
	})
	if status, _ := brief.status(t, "GET", "", "", as("anna", lapsed)); status != http.StatusNotFound {
		t.Errorf("a reservation that lapsed: %d", status)
	}
}

// Ensure what ends a stream of many operations ends them all, with one event `error` or, when the server goes, without a word.
func TestReservedStreamsEndBeforeTheirTime(t *testing.T) {
	wantError := func(t *testing.T, c *sse, closeCode int) {
		t.Helper()
		if e := c.next(); e.name != "error" || !strings.Contains(e.data, fmt.Sprintf(`"closeCode":%d`, closeCode)) {
			t.Fatalf("got %+v", e)
		}
		c.want(over)
	}
	t.Run("expired", func(t *testing.T) {
		s := serveReserved(t, transport.EventsOptions{Begin: func(ctx context.Context) (context.Context, time.Time) {
			return ctx, time.Now().Add(300 * time.Millisecond)
		}})
		c, token := s.reserved(t)
		s.execute(t, token, "a", "subscription{ticks}")
		wantError(t, c, 4403)
	})
	t.Run("an operation's own leave expired", func(t *testing.T) {
		first := true
		s := serveReserved(t, transport.EventsOptions{Begin: func(ctx context.Context) (context.Context, time.Time) {
			if first {
				first = false
				return ctx, time.Time{}
			}
			return ctx, time.Now().Add(50 * time.Millisecond)
		}})
		c, token := s.reserved(t)
		s.execute(t, token, "a", "subscription{silent}")
		wantError(t, c, 4403)
	})
	t.Run("a source that is behind", func(t *testing.T) {
		s := serveReserved(t, transport.EventsOptions{})
		s.stream.finish(&transport.CloseError{Code: transport.CloseTryAgain, Reason: "behind"})
		c, token := s.reserved(t)
		s.execute(t, token, "other", "subscription{silent}")
		<-s.entered
		s.execute(t, token, "a", "subscription{ticks}")
		wantError(t, c, 1013)
	})
	t.Run("the server goes", func(t *testing.T) {
		s := serveReserved(t, transport.EventsOptions{})
		c, token := s.reserved(t)
		waiting := s.reserve(t, "anna")
		s.execute(t, token, "a", "subscription{ticks}")
		s.execute(t, waiting, "b", "subscription{ticks}")
		if err := s.events.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want(over)
		if status, _ := s.status(t, "PUT", "", "", as("anna", "")); status != http.StatusServiceUnavailable {
			t.Errorf("one that comes then: %d", status)
		}
	})
}

// Ensure an idle stream is kept alive, and that streams, operations and reservations that come and go leave nothing behind.
func TestReservedStreamsLeaveNothing(t *testing.T) {
	s := serveReserved(t, transport.EventsOptions{KeepAlive: 10 * time.Millisecond, Reservations: transport.ReservationOptions{Time: 100 * time.Millisecond, MaxPerPrincipal: 1000}})
	c, _ := s.reserved(t)
	c.want(event{name: ":"}, event{name: ":"})
	before := runtime.NumGoroutine()
	for range 50 {
		c, token := s.reserved(t)
		for i, document := range []string{"subscription{ticks}", "subscription{silent}", "{slow}", "{viewer}"} {
			s.execute(t, token, fmt.Sprint(i), document)
		}
		s.execute(t, s.reserve(t, "anna"), "never", "subscription{silent}")
		c.cancel()
		_ = c.resp.Body.Close()
	}
	eventually(t, "no source and no goroutine is left", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return s.stream.attached() == 0 && runtime.NumGoroutine() <= before+4
	})
}

// named gives a request's context the principal that its header names.
type named struct{ *transport.Events }

// Do implements graphql.Transport.
func (n named) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	n.Events.Do(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, r.Header.Get(whoHeader))), exec)
}
