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
	reader := token(b, auth.RoleAnalyst, "reader")
	n, body, header := spend(reader, `{ viewer { role } }`)
	if n < 20 || n > 25 {
		t.Errorf("%d of 20 saved up were let in", n)
	}
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 2 || !strings.Contains(body, `"retryAt":"`) || strings.Contains(body, `"data"`) {
		t.Errorf("Retry-After: %q, %s", header.Get("Retry-After"), body)
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
