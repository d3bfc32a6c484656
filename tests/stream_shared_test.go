package tests

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// request sends one to /graphql; header is name and value in turn.
func (w *world) request(method, query, body string, header ...string) (*http.Response, string) {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.url+"/graphql"+query, strings.NewReader(body))
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.tb.Fatal(err)
	}
	return resp, string(text)
}

// Ensure a bearer reserves a stream and works on it with any of their tokens, nobody else does, and it ends when the server stops (rule N4).
func TestStreamOfManyOperations(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna"}}, "main")
		anna, ben := "Bearer "+w.bearer("anna", a.account), "Bearer "+w.bearer("ben", a.account)
		const header = "X-GraphQL-Event-Stream-Token"
		if resp, body := w.request(http.MethodPut, "", ""); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "UNAUTHENTICATED") {
			t.Errorf("reserved by nobody: %d %s", resp.StatusCode, body)
		}
		resp, token := w.request(http.MethodPut, "", "", "Authorization", anna)
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("reserved: %d %s", resp.StatusCode, token)
		}
		ticket, _ := w.ticket(http.MethodPost, w.bearer("anna", a.account))
		s := w.stream("", "", "", "token", token, "ticket", ticket) // as an EventSource opens it
		if s.resp.StatusCode != http.StatusOK {
			t.Fatalf("opened: %d", s.resp.StatusCode)
		}
		run := `{"query":"subscription { messages { __typename ... on MessageReceived { message { content { ... on TextContent { text } } } } } }","extensions":{"operationId":"m"}}`
		for who, want := range map[string]int{ben: http.StatusNotFound, anna: http.StatusAccepted} {
			if resp, body := w.request(http.MethodPost, "", run, "Authorization", who, header, token); resp.StatusCode != want {
				t.Errorf("executed: %d %s, want %d", resp.StatusCode, body, want)
			}
		}
		if resp, _ := w.request(http.MethodPost, "", `{"query":"{ viewer { role } }","extensions":{"operationId":"q"}}`, "Authorization", anna, header, token); resp.StatusCode != http.StatusAccepted {
			t.Errorf("executed: %d", resp.StatusCode)
		}
		if e := s.next(); (&answer{Data: e.data}).text("payload.data.viewer.role") != "ADVISOR" || (&answer{Data: e.data}).text("id") != "q" {
			t.Errorf("the query's result: %+v", e)
		}
		if e := s.next(); e.name != "complete" {
			t.Errorf("behind it: %+v", e)
		}
		w.stop()
		if e := s.next(); e.name != "" {
			t.Errorf("a server that stops says %+v", e)
		}
	})
}

// Ensure a method that nobody serves is told which are served, those of event streams among them, and that these are.
func TestAllowedMethods(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{}, "main")
	admin := "Bearer " + w.bearer("admin", a.account)
	const served = "GET, POST, PUT, DELETE"
	for method, want := range map[string]string{http.MethodPatch: served, http.MethodHead: served, http.MethodOptions: "OPTIONS, " + served} {
		if resp, _ := w.request(method, "", "", "Authorization", admin); resp.Header.Get("Allow") != want {
			t.Errorf("%s: %d, Allow: %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	for method := range strings.SplitSeq(served, ", ") {
		if resp, body := w.request(method, "", "", "Authorization", admin); resp.StatusCode == http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, body)
		}
	}
}

// Ensure operators see how many event streams, reservations and subscriptions are open, and how streams end.
func TestStreamMetrics(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	anna := w.bearer("anna", a.account)
	const (
		one, many, reservations = `clientele_event_streams{operations="one"}`, `clientele_event_streams{operations="many"}`, `clientele_event_stream_reservations`
		streamed, socketed      = `clientele_subscriptions{transport="event_stream"}`, `clientele_subscriptions{transport="websocket"}`
		pushed, left            = `clientele_events_pushed_total{transport="event_stream"}`, `clientele_event_streams_closed_total{code="1005"}`
	)
	is := func(what string, want map[string]float64) {
		t.Helper()
		w.await(what, func() bool {
			for name, value := range want {
				if w.metric(name) != value {
					return false
				}
			}
			return true
		})
	}
	_, body := get(t, w, http.MethodGet, "/metrics", nil)
	for _, name := range []string{one, many, reservations, streamed, socketed} {
		if !strings.Contains(body, "\n"+name+" 0\n") {
			t.Errorf("%s is not there before anything is open", name)
		}
	}
	s := w.stream(anna, streamText, "")
	is("a stream is open", map[string]float64{one: 1, many: 0, reservations: 0, streamed: 1, socketed: 0})
	a.write("wei", "hello")
	if text, _ := s.text(); text != "hello" {
		t.Errorf("got %q", text)
	}
	is("an event was pushed", map[string]float64{pushed: 1})
	socket := w.subscribe(anna, streamText, nil)
	is("a socket is open", map[string]float64{one: 1, streamed: 1, socketed: 1})
	_, token := w.request(http.MethodPut, "", "", "Authorization", "Bearer "+anna)
	is("a stream is reserved", map[string]float64{one: 1, many: 0, reservations: 1})
	shared := w.stream(anna, "", "", "token", token)
	is("it is open", map[string]float64{one: 1, many: 1, reservations: 1, streamed: 1})
	s.close()
	shared.close()
	socket.close()
	is("all are closed", map[string]float64{one: 0, many: 0, reservations: 0, streamed: 0, socketed: 0, left: 2})
}

// Ensure pages of an allowed origin may reserve, work on and stop streams.
func TestStreamsOfManyOperationsAcrossOrigins(t *testing.T) {
	const origin = "https://console.example.com"
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.AllowedOrigins = []string{origin} }})
	resp, _ := w.request(http.MethodOptions, "", "", "Origin", origin, "Access-Control-Request-Method", "PUT")
	methods, headers := resp.Header.Get("Access-Control-Allow-Methods"), resp.Header.Get("Access-Control-Allow-Headers")
	if !strings.Contains(methods, "PUT") || !strings.Contains(methods, "DELETE") || !strings.Contains(headers, "X-GraphQL-Event-Stream-Token") {
		t.Errorf("allowed are %q with %q", methods, headers)
	}
}

// oneStream is TestUsualClients for the client graphql-sse, which gets results of many operations on the one stream that it reserves.
func oneStream(t *testing.T, npm *testkit.NPM) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	var came struct {
		Reserved int
		Texts    []string
		Code     string
	}
	if err := json.Unmarshal(npm.Run(testkit.NeedNode.Program(), "single.mjs", w.url+"/graphql", w.bearer("admin", a.account), w.bearer("anna", a.account)), &came); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(came.Texts, " "); got != "hello hello again" || came.Reserved != 1 || came.Code != "INVALID" {
		t.Errorf("it came to %+v", came)
	}
}
