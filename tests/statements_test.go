package tests

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/services"
	"clientele/store"
)

// statements is how many the database ran for one operation, asked of the handler in this process.
func (t *tenant) statements(who, query string, variables map[string]any) int64 {
	t.tb.Helper()
	var n atomic.Int64
	body := marshal(map[string]any{"query": query, "variables": variables})
	r := httptest.NewRequestWithContext(store.CountStatements(context.Background(), &n), http.MethodPost, "/graphql", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+t.bearer(who, t.account))
	recorder := httptest.NewRecorder()
	t.Server.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusOK || strings.Contains(recorder.Body.String(), `"errors"`) {
		t.tb.Fatalf("%d %.500s", recorder.Code, recorder.Body)
	}
	return n.Load()
}

// Ensure the number of statements of a page does not depend on its size.
func TestStatementsOfPages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		customers := named("c", 60)
		var bound []string
		for _, c := range customers {
			bound = append(bound, c+" of anna")
		}
		a := w.found(setup{Advisors: []string{"anna", "ben", "cai"}, Customers: bound, Groups: []string{"tea of anna ben", "g2", "g3"}}, "main")
		for _, c := range customers {
			a.write(c, "hello")
		}
		for name, page := range map[string]struct {
			who, query  string
			small, most int
			limit       int64
		}{
			"inbox": {"anna", `query($n: Int) { inbox(first: $n) { nodes { unreadCount activeAt contactability { answer left }
				customer { openid advisor { nickname } } lastMessage { sentAt content { __typename } conversation { id } } } } }`, 10, 50, 6},
			"customers of admin": {"admin", `query($n: Int) { customers(first: $n) { nodes { openid advisor { nickname qrCode { scene } } } } }`, 10, 50, 5},
			"advisors":           {"admin", `query($n: Int) { advisors(first: $n) { nodes { nickname qrCode { scene } } } }`, 1, 3, 4},
			"groups":             {"admin", `query($n: Int) { groups(first: $n) { nodes { name qrCode { scene } } } }`, 1, 3, 4},
			"notifications":      {"anna", `query($n: Int) { notifications(first: $n) { nodes { text link customer { openid } } } }`, 10, 50, 5},
		} {
			small := a.statements(page.who, page.query, map[string]any{"n": page.small})
			most := a.statements(page.who, page.query, map[string]any{"n": page.most})
			if small != most || most > page.limit {
				t.Errorf("%s: %d statements for %d, %d for %d, at most %d are expected", name, small, page.small, most, page.most, page.limit)
			}
		}
	})
}

// Ensure a batch costs statements by the batch and not by the item.
func TestStatementsOfInvitations(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{}, "main")
		people := func(prefix string, n int) map[string]any {
			var list []map[string]any
			for _, o := range named(prefix, n) {
				a.follow(o, "")
				list = append(list, map[string]any{"openid": o, "nickname": o})
			}
			return map[string]any{"a": list}
		}
		const query = `mutation($a: [AdvisorInvitationInput!]!) { inviteAdvisors(input: {advisors: $a}) { results { advisor { id } error { code } } } }`
		ten, hundred := a.statements("admin", query, people("x", 10)), a.statements("admin", query, people("y", 100))
		if ten != hundred {
			t.Errorf("%d statements for 10, %d for 100", ten, hundred)
		}
		if again := a.statements("admin", query, people("z", 200)); again > 2*hundred {
			t.Errorf("%d statements for 200, %d for 100", again, hundred)
		}
	})
}

// Ensure taking a fresh event runs no statement: what is pushed came with the commit (DESIGN 4).
func TestPushReadsNothing(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		_, viewer, err := w.Issuer.Issue(auth.Grant{Role: auth.RoleAdvisor, Account: a.account.String(), Subject: "openid:anna", Life: tokenLife})
		if err != nil {
			t.Fatal(err)
		}
		var n atomic.Int64
		ctx := store.CountStatements(services.WithViewer(context.Background(), viewer, "test"), &n)
		watch, err := w.Services.Watch(ctx, services.WatchMessages, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()
		wake := make(chan struct{}, 100)
		watch.Attach(func() { wake <- struct{}{} })
		opening := n.Load()
		if opening == 0 {
			t.Fatal("opening a watch was counted as no statement: the count does not reach it")
		}
		before := w.Hub.Stats()
		for i := range 20 {
			a.write("wei", fmt.Sprint("message ", i))
			for taken := 0; taken == 0; {
				pushed, err := watch.Take(ctx, 16)
				if err != nil {
					t.Fatal(err)
				}
				if taken = len(pushed); taken == 0 {
					testkit.Receive(t, wake)
				}
			}
		}
		if pushed := n.Load() - opening; pushed != 0 {
			t.Errorf("pushing 20 fresh events ran %d statements", pushed)
		}
		if after := w.Hub.Stats(); after.FromLog != before.FromLog {
			t.Errorf("%d events were read from the log again", after.FromLog-before.FromLog)
		}
	})
}
