package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// stream is an open event stream.
type stream struct {
	tb    testing.TB
	resp  *http.Response
	lines *bufio.Reader
	close context.CancelFunc
}

// streamed is one event: its name, its id, and its data as JSON.
type streamed struct {
	name, id string
	data     any
}

// stream asks for a subscription by GET, as a browser's EventSource does. token and lastEventID may be empty.
func (w *world) stream(token, query, lastEventID string, more ...string) *stream {
	w.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	values := url.Values{"query": {query}}
	for i := 0; i < len(more); i += 2 {
		values.Set(more[i], more[i+1])
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/graphql?"+values.Encode(), nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	return w.streaming(r, cancel)
}

// streaming sends a request whose answer is an event stream; cancel ends it.
func (w *world) streaming(r *http.Request, cancel context.CancelFunc) *stream {
	w.tb.Helper()
	resp, err := (&http.Client{Transport: http.DefaultTransport}).Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	s := &stream{tb: w.tb, resp: resp, lines: bufio.NewReader(resp.Body), close: cancel}
	w.tb.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
	})
	return s
}

// next is the next event, comments left out; a zero one at the end of the stream.
func (s *stream) next() (e streamed) {
	s.tb.Helper()
	var data strings.Builder
	for {
		line, err := s.lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return e
		}
		if err != nil {
			s.tb.Fatalf("read: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			data.WriteString(value)
		}
		if line != "\n" || e.name == "" {
			continue
		}
		if data.Len() > 0 {
			if err := json.Unmarshal([]byte(data.String()), &e.data); err != nil {
				s.tb.Fatalf("data %q: %v", data.String(), err)
			}
		}
		return e
	}
}

// text is what was written in the next message that came in.
func (s *stream) text() (text, id string) {
	s.tb.Helper()
	e := s.next()
	a := &answer{Data: e.data}
	if a.text("extensions.cursor") != e.id || e.name != "next" {
		s.tb.Fatalf("the event %+v", e)
	}
	return a.text("data.messages.message.content.text"), e.id
}

// ends is the code of the event that ends the stream before its time.
func (s *stream) ends() string {
	s.tb.Helper()
	e := s.next()
	list, _ := e.data.([]any)
	if e.name != "error" || len(list) != 1 {
		s.tb.Fatalf("the event %+v", e)
	}
	if after := s.next(); after.name != "" {
		s.tb.Fatalf("behind the end comes %+v", after)
	}
	return (&answer{Data: list[0]}).text("extensions.code")
}

const streamText = `subscription { messages { __typename ... on MessageReceived { message { content { ... on TextContent { text } } } } } }`

// Ensure events arrive on an event stream with the cursors that a WebSocket would show, that a client that comes back is told what it missed,
// once, and that a stream is refused and ends as a subscription does (rules N4, V1, V5, V6).
func TestEventStream(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		anna := w.bearer("anna", a.account)
		s := w.stream(anna, streamText, "")
		a.write("wei", "first")
		text, id := s.text()
		if text != "first" || id == "" {
			t.Fatalf("the first event is %q %q", text, id)
		}
		s.close()
		a.write("wei", "second")
		a.write("li", "third")
		s = w.stream(anna, streamText, id)
		for _, want := range []string{"second", "third"} {
			if text, _ = s.text(); text != want {
				t.Fatalf("got %q, want %q", text, want)
			}
		}
		a.write("wei", "fourth")
		if text, _ = s.text(); text != "fourth" {
			t.Fatalf("got %q", text)
		}
		if got := w.stream(anna, streamText, "no cursor").next(); (&answer{Data: got.data}).field("errors") == nil {
			t.Errorf("an id that is no cursor: %+v", got)
		}
		for _, token := range []string{"", "x.y.z"} {
			if status := w.stream(token, streamText, "").resp.StatusCode; status != http.StatusUnauthorized {
				t.Errorf("with the token %q: %d", token, status)
			}
		}
		refused := w.stream(w.bearer("analyst", a.account), streamText, "")
		e := refused.next()
		list, _ := (&answer{Data: e.data}).field("errors").([]any)
		if e.name != "next" || len(list) != 1 || (&answer{Data: list[0]}).text("extensions.code") != "FORBIDDEN" {
			t.Errorf("who may not listen is told %+v", e)
		}
		if e := refused.next(); e.name != "complete" {
			t.Errorf("behind it: %+v", e)
		}
		// A customer who goes to somebody else is told of no more, on a stream as on a socket.
		a.do("admin", `mutation { rebindCustomers(input: {customers: {these: [{openid: "wei"}]}, to: {advisor: {openid: "ben"}}}) { results { error { code } } } }`, nil)
		if e := s.next(); (&answer{Data: e.data}).text("data.messages.__typename") != "CustomerLeft" {
			t.Errorf("after the rebind: %+v", e)
		}
		a.write("wei", "for ben")
		a.write("li", "fifth")
		if text, _ = s.text(); text != "fifth" {
			t.Errorf("got %q", text)
		}
		job := a.do("admin", beginText, map[string]any{"i": a.uploading("openid\nx\n", 100)}).text("startImport.job.id")
		end := streamed{}
		for follow := w.stream(w.bearer("admin", a.account), `subscription { jobChanges(jobId: "`+job+`", after: "`+a.beginning(job)+`") { __typename } }`, ""); end.name != "complete"; {
			if end = follow.next(); end.name == "" {
				t.Fatal("a job's stream ends without complete")
			}
		}
	})
}

// Ensure a stream ends with UNAUTHENTICATED when its token does or is revoked, though nothing happens, and the server can stop while
// streams are open (rules V1, V6).
func TestEventStreamEnds(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{now: time.Now})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		short, _, err := w.Issuer.Issue(auth.Grant{Role: auth.RoleAdvisor, Account: a.account.String(), Subject: auth.AdvisorSubject(auth.SubjectOpenID, "anna"), Life: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if code := w.stream(short, streamText, "").ends(); code != string(models.CodeUnauthenticated) {
			t.Errorf("expired: %s", code)
		}
		long, v, err := w.Issuer.Issue(auth.Grant{Role: auth.RoleAdvisor, Account: a.account.String(), Subject: auth.AdvisorSubject(auth.SubjectOpenID, "anna"), Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s := w.stream(long, streamText, "")
		began := time.Now()
		a.do("admin", `mutation($t: String!) { revokeToken(input: {tokenId: $t}) { rememberedUntil } }`, map[string]any{"t": v.TokenID})
		if code := s.ends(); code != string(models.CodeUnauthenticated) {
			t.Errorf("revoked: %s", code)
		}
		if took := time.Since(began); took > limits.PolicyRecheck+slack {
			t.Errorf("it took %s", took)
		}
		open := w.stream(w.bearer("anna", a.account), streamText, "")
		w.stop()
		if e := open.next(); e.name != "" {
			t.Errorf("a server that stops says %+v", e)
		}
	})
}

// ticket asks for a ticket and answers it with the status.
func (w *world) ticket(method, token string) (ticket string, status int) {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.url+"/graphql/ticket", nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var told struct{ Ticket string }
	if err := json.NewDecoder(resp.Body).Decode(&told); err != nil {
		w.tb.Fatal(err)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		w.tb.Errorf("a ticket may be stored: %q", got)
	}
	return told.Ticket, resp.StatusCode
}

// Ensure a ticket opens one event stream as who asked for it, once, for some seconds, and nothing else; and that what is kept of it cannot be
// used (rule V1).
func TestTickets(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		anna := w.bearer("anna", a.account)
		get := func() string {
			t.Helper()
			ticket, status := w.ticket(http.MethodPost, anna)
			if ticket == "" || status != http.StatusCreated {
				t.Fatalf("%d %q", status, ticket)
			}
			return ticket
		}
		ticket := get()
		if n := len(w.holding(ticket)); n != 0 {
			t.Error("the ticket is kept as it is")
		}
		s := w.stream("", streamText, "", "ticket", ticket)
		a.write("wei", "hello")
		if text, _ := s.text(); text != "hello" {
			t.Errorf("got %q", text)
		}
		status := func(ticket string) int { return w.stream("", streamText, "", "ticket", ticket).resp.StatusCode }
		if got := status(ticket); got != http.StatusUnauthorized {
			t.Errorf("used again: %d", got)
		}
		plain := get()
		resp, err := w.http.Get(w.url + "/graphql?query={viewer{role}}&ticket=" + plain)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), "UNAUTHENTICATED") {
			t.Errorf("a request with one answer: %s %v", body, err)
		}
		if got := status(plain); got != http.StatusOK {
			t.Errorf("a stream with that ticket: %d", got)
		}
		late := get()
		w.clock.Advance(limits.TicketLife)
		if got := status(late); got != http.StatusUnauthorized {
			t.Errorf("%s later: %d", limits.TicketLife, got)
		}
		for _, bad := range []string{"x", strings.Repeat("A", 43), strings.Repeat("é", 43)} {
			if got := status(bad); got != http.StatusUnauthorized {
				t.Errorf("the ticket %q: %d", bad, got)
			}
		}
		for token, want := range map[string]int{"": http.StatusUnauthorized, "x.y.z": http.StatusUnauthorized, w.bearer("nobody-here", a.account): http.StatusUnauthorized} {
			if ticket, got := w.ticket(http.MethodPost, token); got != want || ticket != "" {
				t.Errorf("asked for by %q: %d", token, got)
			}
		}
		if _, got := w.ticket(http.MethodGet, anna); got != http.StatusMethodNotAllowed {
			t.Errorf("asked for by GET: %d", got)
		}
		// What the token may no longer, its ticket may not either.
		revoked := get()
		a.do("admin", `mutation($at: DateTime!) { revokeTokensIssuedBefore(input: {bearer: {advisor: {openid: "anna"}}, at: $at}) { issuedBefore } }`,
			map[string]any{"at": w.clock.Now().Add(2 * time.Second).Format(time.RFC3339)})
		e := w.stream("", streamText, "", "ticket", revoked).next()
		list, _ := (&answer{Data: e.data}).field("errors").([]any)
		if len(list) != 1 || (&answer{Data: list[0]}).text("extensions.code") != "UNAUTHENTICATED" {
			t.Errorf("with a token that was revoked: %+v", e)
		}
		_, _ = w.ticket(http.MethodPost, w.bearer("admin", a.account))
		w.clock.Advance(limits.RetentionInterval + limits.ClockSkew)
		w.retain()
		if n := w.count("SELECT COUNT(*) FROM ticket"); n != 0 {
			t.Errorf("%d tickets are left", n)
		}
	})
}

// Ensure of many who come with one ticket at once, to two nodes, one is let in (rule V1).
func TestOneTicketForTwoNodes(t *testing.T) {
	dsn := testkit.MySQL(t)
	one := start(t, dsn, options{})
	two := start(t, dsn, options{clock: one.clock})
	a := one.found(setup{Advisors: []string{"anna"}}, "main")
	for range 5 {
		ticket, _ := one.ticket(http.MethodPost, one.bearer("anna", a.account))
		var all sync.WaitGroup
		var in atomic.Int64
		for i := range 16 {
			w := []*world{one, two}[i%2]
			all.Go(func() {
				if _, err := w.Services.RedeemTicket(context.Background(), ticket); err == nil {
					in.Add(1)
				} else if models.CodeOf(err) != models.CodeUnauthenticated {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if n := in.Load(); n != 1 {
			t.Errorf("%d were let in", n)
		}
	}
}
