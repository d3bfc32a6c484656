package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
			"inbox, deep": {"anna", `query($n: Int) { inbox(first: $n) { edges { node { lastMessage { conversation { lastMessage { id }
				customer { advisor { nickname qrCode { scene } } } } } } } } }`, 10, 50, 7},
			"notifications, deep": {"anna", `query($n: Int) { notifications(first: $n) { nodes { ...n } } }
				fragment n on Notification { customer { advisor { qrCode { scene } } } }`, 10, 50, 6},
			"customers of admin":           {"admin", `query($n: Int) { customers(first: $n) { nodes { openid advisor { nickname qrCode { scene } } } } }`, 10, 50, 5},
			"customers with their ledgers": {"admin", `query($n: Int) { customers(first: $n) { nodes { contactability { answer left } } } }`, 10, 50, 4},
			"bindings": {"admin", `query($n: Int) { bindings(first: $n) { nodes { change customer { openid advisor { nickname } } advisor { nickname qrCode { scene } }
				formerAdvisor { nickname } } } }`, 10, 50, 7},
			"bindings of an advisor": {"admin", `query($n: Int) { bindings(first: $n, filter: {advisor: {openid: "anna"}}) { nodes { customer { openid } advisor { nickname } } } }`, 10, 50, 6},
			"new customers":          {"anna", `query($n: Int) { newCustomers(first: $n) { openid advisor { nickname } } }`, 10, 50, 5},
			"advisors":               {"admin", `query($n: Int) { advisors(first: $n) { nodes { nickname qrCode { scene } } } }`, 1, 3, 4},
			"groups":                 {"admin", `query($n: Int) { groups(first: $n) { nodes { name qrCode { scene } } } }`, 1, 3, 4},
			"notifications":          {"anna", `query($n: Int) { notifications(first: $n) { nodes { text link customer { openid } } } }`, 10, 50, 5},
		} {
			small := a.statements(page.who, page.query, map[string]any{"n": page.small})
			most := a.statements(page.who, page.query, map[string]any{"n": page.most})
			if small != most || most > page.limit {
				t.Errorf("%s: %d statements for %d, %d for %d, at most %d are expected", name, small, page.small, most, page.most, page.limit)
			}
		}
	})
}

// Ensure the number of statements for objects by their ids does not depend on the number of ids.
func TestStatementsOfNodes(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		customers := named("c", 50)
		var bound []string
		for _, c := range customers {
			bound = append(bound, c+" of anna")
		}
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: bound}, "main")
		for _, c := range customers {
			a.write(c, "hello")
		}
		var page struct {
			Data struct {
				Inbox struct {
					Nodes []struct {
						ID                    string
						Customer, LastMessage struct{ ID string }
					}
				}
			}
		}
		if err := json.Unmarshal(a.do("anna", `{ inbox(first: 50) { nodes { id customer { id } lastMessage { id } } } }`, nil).body, &page); err != nil {
			t.Fatal(err)
		}
		lines := page.Data.Inbox.Nodes
		const query = `query($ids: [ID!]!) { nodes(ids: $ids) { id
			... on Conversation { customer { nickname } lastMessage { id } contactability { left } }
			... on Customer { advisor { nickname qrCode { scene } } }
			... on Message { conversation { customer { nickname } lastMessage { id } } } } }`
		count := func(n int) int64 {
			var ids []string
			for _, l := range lines[:n] {
				ids = append(ids, l.ID, l.Customer.ID)
			}
			for _, l := range lines[len(lines)-n:] {
				ids = append(ids, l.LastMessage.ID)
			}
			return a.statements("anna", query, map[string]any{"ids": ids})
		}
		if few, many := count(3), count(30); few != many {
			t.Errorf("%d statements for 9 ids, %d for 90", few, many)
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

// Ensure each operation of the ledger costs what it costs, whatever was done before: a message of an
// outreach no more than a free one, and one statement more where a mass send to all has not been
// counted yet.
func TestStatementsOfTheLedger(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		customers := named("c", 60)
		var bound []string
		for _, c := range customers {
			bound = append(bound, c+" of anna")
		}
		a := w.found(setup{Advisors: []string{"anna"}, Customers: bound}, "main")
		at := w.clock.Now().Format(time.RFC3339)
		want := func(what string, got, want int64) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d statements, want %d", what, got, want)
			}
		}
		send := func(key string) int64 { return a.statements("anna", sendText, sending("c0", "x", key)) }
		free := send("k1")
		if free > 16 {
			t.Errorf("a free message: %d statements", free)
		}
		const page = `query($n: Int) { inbox(first: $n) { nodes { contactability { outreachLeft } } } }`
		inbox := a.statements("anna", page, map[string]any{"n": 50})
		w.clock.Advance(48 * time.Hour)
		confirm := func() int64 { return a.statements("anna", confirmText, map[string]any{"o": "c0"}) }
		first := confirm()
		if first > 14 {
			t.Errorf("a confirmation: %d statements", first)
		}
		want("a message of an outreach", send("k2"), free)
		w.clock.Advance(time.Minute)
		want("a confirmation that supersedes one", confirm(), first+1)

		a.do("admin", `mutation { simulateSending(input: {sending: REFUSE_CUSTOMER}) { sending } }`, nil)
		id := a.send("anna", "c0", "x")
		w.delivered()
		want("a message again", a.statements("anna", resendText, map[string]any{"id": id, "key": "r1"}), free+1) // it is read twice

		mass := func(key string, to map[string]any) int64 {
			return a.statements("admin", massText, map[string]any{"key": key, "at": at, "to": to})
		}
		all := mass("all1", map[string]any{"all": true})
		want("another mass send to all", mass("all2", map[string]any{"all": true}), all)
		for _, n := range []int{1, 50} {
			want(fmt.Sprint("an inbox of ", n, " behind mass sends"), a.statements("anna", page, map[string]any{"n": n}), inbox+1)
		}
		a.do("admin", `mutation { simulateSending(input: {sending: ACCEPT}) { sending } }`, nil)
		want("a message behind mass sends", send("k3"), free+1)
		want("one caught up with them", send("k4"), free)

		unknown := func(n int) map[string]any { return map[string]any{"openids": named("nobody-", n)} }
		chunk := mass("u1", unknown(500))
		want("another list", mass("u2", unknown(500)), chunk)
		rows := mass("l1", map[string]any{"openids": customers})
		if rows > chunk+2 {
			t.Errorf("a list of %d customers: %d statements, of unknown people %d", len(customers), rows, chunk)
		}
		if many := mass("u3", unknown(10_000)); many > 20*chunk {
			t.Errorf("10,000 openids: %d statements, 500: %d", many, chunk)
		}
	})
}

// Ensure payments cost statements by the batch and not by the item.
func TestStatementsOfPayments(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		customers := named("c", 200)
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		for _, c := range customers {
			a.follow(c, a.names["scene anna"])
		}
		pay := func(prefix string, n int) int64 {
			var list []map[string]any
			for i, c := range customers[:n] {
				list = append(list, map[string]any{
					"customer": map[string]any{"openid": c}, "transactionId": fmt.Sprint(prefix, i), "at": w.clock.Now().Format(time.RFC3339),
				})
			}
			return a.statements("integration", payText, map[string]any{"p": list})
		}
		ten, hundred := pay("a", 10), pay("b", 100)
		if ten != hundred {
			t.Errorf("%d statements for 10, %d for 100", ten, hundred)
		}
		if again := pay("c", 200); again > 2*hundred {
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
		// Who the viewer is was asked together with whatever else was asked then, and is not counted.
		if _, err := w.Store.View(ctx).Account(a.account); err != nil || n.Load() == 0 {
			t.Fatalf("a statement was counted as none: the count does not reach it (%v)", err)
		}
		opening := n.Load()
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
