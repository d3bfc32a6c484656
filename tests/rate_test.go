package tests

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure who asks for more than a token, or an account, is given a second is told when to come back, that nobody else is, that large
// operations count for more, and that subscriptions are not counted (rule X2).
func TestRates(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.RatePerToken, s.RatePerAccount = 2, 3 }})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	b := w.found(setup{}, "other")
	// Tokens of their own, so that what made the accounts does not count; an account had time to save up.
	token := func(of *tenant, role auth.Role, subject string) string { return w.token(role, of.account, subject) }
	ask := func(token, query string) (string, http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/graphql", strings.NewReader(string(marshal(map[string]any{"query": query}))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := w.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var body [4096]byte
		n, _ := resp.Body.Read(body[:])
		return string(body[:n]), resp.Header
	}
	spend := func(token, query string) (n int, body string, header http.Header) {
		for range 100 {
			if body, header = ask(token, query); strings.Contains(body, "RATE_LIMITED") {
				return n, body, header
			}
			n++
		}
		t.Fatal("a hundred at once are let in")
		return n, body, header
	}
	reader := token(b, auth.RoleAdmin, "reader")
	n, body, header := spend(reader, `{ viewer { role } }`)
	if n < 20 || n > 25 {
		t.Errorf("%d of 20 saved up were let in", n)
	}
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 2 || !strings.Contains(body, `"retryAt":"`) || strings.Contains(body, `"data"`) {
		t.Errorf("Retry-After: %q, %s", header.Get("Retry-After"), body)
	}
	// Over the other transports it is told the same; an answer of one operation has the header.
	socket := w.dial(reader)
	if f := socket.frame(); f.Type != "connection_ack" {
		t.Fatalf("answered by %s", f.Type)
	}
	for name, once := range map[string]func() (string, bool){
		"by GET": func() (string, bool) {
			resp, body := w.request(http.MethodGet, "?query=%7Bviewer%7Brole%7D%7D", "", "Authorization", "Bearer "+reader)
			return body, resp.Header.Get("Retry-After") != ""
		},
		"a multipart request": func() (string, bool) {
			form := "--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"query\":\"{viewer{role}}\"}\r\n" +
				"--b\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{}\r\n--b--\r\n"
			resp, body := w.request(http.MethodPost, "", form, "Authorization", "Bearer "+reader, "Content-Type", "multipart/form-data; boundary=b", "GraphQL-Require-Preflight", "1")
			return body, resp.Header.Get("Retry-After") != ""
		},
		"an event stream": func() (string, bool) {
			_, body := w.request(http.MethodGet, "?query=%7Bviewer%7Brole%7D%7D", "", "Authorization", "Bearer "+reader, "Accept", "text/event-stream")
			return body, true
		},
		"a socket": func() (string, bool) {
			socket.write(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": "{ viewer { role } }"}})
			f := socket.frame()
			if f.Type != "error" {
				socket.frame() // complete
			}
			return string(f.Payload), f.Type == "error"
		},
	} {
		for n := 0; ; n++ {
			body, told := once()
			if !strings.Contains(body, "RATE_LIMITED") && n < 100 {
				continue
			}
			if !told || !strings.Contains(body, `"retryAt":"`) || strings.Contains(body, `"data":{`) {
				t.Errorf("%s: %s, told %t", name, body, told)
			}
			break
		}
	}
	// Another token of the account has what is left of its 30; a page of 200 with 200 below each counts as many.
	if n, _, _ := spend(token(b, auth.RoleAnalyst, "another"), `{ viewer { role } }`); n < 5 || n > 15 {
		t.Errorf("of the account's 30 another token got %d", n)
	}
	anna := w.bearer("anna", a.account)
	large := token(a, auth.RoleAnalyst, "large")
	if n, _, _ := spend(large, `{ advisors(first: 200) { nodes { id } } customers(first: 200) { nodes { id } } groups(first: 200) { nodes { id } } }`); n < 1 || n > 4 {
		t.Errorf("%d operations of 600 rows were let in", n)
	}
	for range 40 {
		s := w.subscribe(anna, shared(t, "notifications.graphql"), nil)
		s.close()
	}
	began := time.Now()
	w.await("it is let in again", func() bool {
		body, _ := ask(reader, `{ viewer { role } }`)
		return !strings.Contains(body, "RATE_LIMITED")
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %s", took)
	}
}

// Ensure what is refused before it is executed costs as its document is long, whatever is wrong with it and over whatever it comes; that who has no more is
// let do nothing, not even be refused or subscribe, and is told until when; and that nobody else is (rule X2).
func TestRefusalsAreCharged(t *testing.T) {
	const perToken = 50
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.RatePerToken, s.RatePerAccount = perToken, 0 }})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	saved := perToken * int(limits.RateBurst/time.Second)
	padded := func(query string) string { return query + strings.Repeat(" ", 16_000-len(query)) }
	long := saved/(1+16_000/limits.RefusalBytes) + 1
	const good = `{ viewer { role } }`
	ask := func(token, query string, variables map[string]any) *answer { return w.ask(token, query, variables) }
	for name, tt := range map[string]struct {
		query     string
		variables map[string]any
		code      string
		most      int // that are refused for what they are
	}{
		"a document that does not parse": {padded(`{ viewer { role `), nil, "INVALID", long},
		"a field that there is not":      {padded(`{ nothing }`), nil, "INVALID", long},
		"one that is not theirs":         {padded(`mutation { createAccount(input: {name: "x", channel: SANDBOX}) { account { id } } }`), nil, "FORBIDDEN", long},
		"too deep a document":            {padded(`{ ` + strings.Repeat(`customers { nodes { advisor { `, 10) + `id` + strings.Repeat(` } } }`, 10) + ` }`), nil, "LIMIT_EXCEEDED", long},
		"a bad variable":                 {padded(`query($n: Int) { customers(first: $n) { nodes { id } } }`), map[string]any{"n": "5"}, "INVALID", long},
		"a bad variable of a subscription": {
			padded(`subscription($after: String) { accountEvents(after: $after) { __typename } }`), map[string]any{"after": 5}, "INVALID", long,
		},
		"a short document": {`{ nothing }`, nil, "INVALID", saved},
	} {
		t.Run(name, func(t *testing.T) {
			token := w.token(auth.RoleAdmin, a.account, name)
			n, began := 0, time.Now()
			for ; n < 2*saved; n++ {
				got := ask(token, tt.query, tt.variables)
				if got.code() == "RATE_LIMITED" {
					if got.Errors[0].Extensions["retryAt"] == nil {
						t.Errorf("it is not told when to come back: %s", got.body)
					}
					break
				}
				if got.code() != tt.code {
					t.Fatalf("%.300s", got.body)
				}
			}
			// What came back meanwhile was let in, too.
			if most := tt.most + int(time.Since(began).Seconds()+1)*perToken*tt.most/saved; n < tt.most-1 || n > most {
				t.Errorf("%d were refused for what they are, not %d to %d", n, tt.most, most)
			}
			if code := ask(token, good, nil).code(); tt.most == long && code != "RATE_LIMITED" {
				t.Errorf("one in debt is answered %q", code)
			}
			if code := ask(w.token(auth.RoleAdmin, a.account, "another of "+name), good, nil).code(); code != "" {
				t.Errorf("another is told %q", code)
			}
		})
	}
	t.Run("over a socket, which it may be in debt of and stay open", func(t *testing.T) {
		token := w.token(auth.RoleAdmin, a.account, "socket")
		socket := w.dial(token)
		if f := socket.frame(); f.Type != "connection_ack" {
			t.Fatalf("answered by %s", f.Type)
		}
		say := func(query string) string {
			socket.write(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": query}})
			return string(socket.frame().Payload)
		}
		n := 0
		for !strings.Contains(say(padded(`{ nothing }`)), "RATE_LIMITED") {
			if n++; n > 3*long {
				t.Fatal("it is refused again and again")
			}
		}
		if n < long-1 {
			t.Errorf("%d of %d", n, long)
		}
		if got := say(`subscription { accountEvents { __typename } }`); !strings.Contains(got, "RATE_LIMITED") {
			t.Errorf("a subscription of one in debt: %s", got)
		}
	})
}
