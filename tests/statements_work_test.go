package tests

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/store"
)

// Ensure a page of messages costs the same whatever its size, with what its messages show.
func TestStatementsOfMessages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		for i := range 60 {
			a.write("wei", fmt.Sprint("message ", i))
		}
		const page = `query($n: Int) { conversation(customer: {openid: "wei"}) { messages(first: $n) { nodes {
			id sentAt content { ... on TextContent { text } } conversation { unreadCount customer { nickname } lastMessage { id } } } } } }`
		for _, who := range []string{"anna", "admin"} {
			one, ten, fifty := a.statements(who, page, map[string]any{"n": 1}), a.statements(who, page, map[string]any{"n": 10}), a.statements(who, page, map[string]any{"n": 50})
			if one != ten || ten != fifty || fifty > 9 {
				t.Errorf("%s: %d statements for 1 message, %d for 10, %d for 50", who, one, ten, fifty)
			}
		}
	})
}

// Ensure a removal costs the same however many groups the advisor leaves.
func TestStatementsOfRemoval(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		groups := []string{"one of ben"}
		for _, name := range named("many", 20) {
			groups = append(groups, name+" of anna")
		}
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: groups}, "main")
		remove := func(advisor string) int64 {
			return a.statements("admin", `mutation($a: Identifier!) { removeAdvisor(input: {advisor: {openid: $a}}) { advisor { state } } }`,
				map[string]any{"a": advisor})
		}
		if one, many := remove("ben"), remove("anna"); one != many {
			t.Errorf("%d statements for one group, %d for twenty", one, many)
		}
		if n := w.count("SELECT COUNT(*) FROM group_member") + w.count("SELECT SUM(member_count) FROM advisor_group"); n != 0 {
			t.Errorf("%d memberships are left", n)
		}
	})
}

// Ensure a pass of the retention costs by the batch and not by what it deletes.
func TestStatementsOfRetention(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		advisors := named("a", 30)
		a := w.found(setup{Advisors: advisors}, "main")
		pass := func(prefix string, of, each int) int64 {
			t.Helper()
			for i := range of {
				customer := fmt.Sprint(prefix, i)
				a.follow(customer, a.names["scene "+advisors[i]])
				for n := range each {
					a.write(customer, fmt.Sprint("message ", n))
				}
				a.send(advisors[i], customer, "hello")
			}
			w.delivered()
			w.clock.Advance(max(limits.EventRetention, limits.IdempotencyLife) + limits.ClockSkew + time.Hour)
			// A pass of the job's own may be under way: this one is counted when it has something to do.
			var n atomic.Int64
			done, err := w.Services.Retain(store.CountStatements(context.Background(), &n), func(context.Context) error { return nil })
			if err != nil || done.Events < of*each || done.Idempotency < of {
				t.Fatalf("%+v was deleted, %v", done, err)
			}
			return n.Load()
		}
		few, many := pass("f", 2, 1), pass("m", 30, 10)
		if many > few {
			t.Errorf("%d statements for a little, %d for much", few, many)
		}
	})
}
