package tests

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/limits"
)

const (
	changeFields = `__typename ... on Event { sequence cursor } ... on CustomerChanged { change { customer { openid } field from to madeBy } }`
	changeWatch  = `subscription($after: String) { customerChangeFeed(after: $after) { ` + changeFields + ` } }`
	changePage   = `query($first: Int, $after: String) { customerChangeFeed(first: $first, after: $after) { cursor hasMore events { ` + changeFields + ` } } }`
)

// changed is a change as the feed tells it: "wei NICKNAME [] [Wei]".
func changed(event map[string]any) string {
	if event["__typename"] != "CustomerChanged" {
		return fmt.Sprint(event["__typename"])
	}
	c := event["change"].(map[string]any)
	who := "nobody"
	if customer, ok := c["customer"].(map[string]any); ok {
		who = fmt.Sprint(customer["openid"])
	}
	return fmt.Sprint(who, " ", c["field"], " ", c["from"], " ", c["to"])
}

// feed is a page of the changes: what it tells, and the cursor that goes on.
func (t *tenant) feed(after any, first int) (told []map[string]any, cursor string, more bool) {
	t.tb.Helper()
	page := &answer{Data: t.do("admin", changePage, map[string]any{"first": first, "after": after}).field("customerChangeFeed")}
	for _, e := range page.field("events").([]any) {
		told = append(told, e.(map[string]any))
	}
	return told, page.text("cursor"), page.field("hasMore").(bool)
}

// relayed returns once every change has its number.
func (w *world) relayed() {
	w.tb.Helper()
	w.await("every event has a number", func() bool { return w.count("SELECT COUNT(*) FROM account_event") == 0 })
}

// nicknamed gives a customer a nickname.
func (t *tenant) nicknamed(openid, nickname string) {
	t.tb.Helper()
	t.do("admin", updateText, map[string]any{"c": []map[string]any{{"customer": map[string]any{"openid": openid}, "nickname": nickname}}})
}

// Ensure a system that follows the account's customers is told each change once and in order, by the
// subscription and by the query, from the cursor of a snapshot on, and nothing of another account (rules F3, N4, V4).
func TestCustomerChangesAreFed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		s := setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold"}, Customers: []string{"wei of anna"}}
		a, other := w.found(s, "main"), w.found(s, "other")
		if told, _, more := a.feed(nil, 10); len(told) != 0 || more {
			t.Errorf("before any change the feed tells %v, more %v", told, more)
		}
		snapshot := a.do("integration", `{ eventCursor customer(by: {openid: "wei"}) { nickname } }`, nil).text("eventCursor")
		live := w.subscribe(w.bearer("integration", a.account), changeWatch, nil)
		foreign := w.subscribe(w.bearer("admin", other.account), changeWatch, nil)

		a.nicknamed("wei", "Wei")
		a.do("anna", tagText, map[string]any{"c": tagging([]string{"wei"}, []string{"gold"}, nil)})
		a.do("admin", `mutation { rebindCustomers(input: {customers: {these: [{openid: "wei"}]}, to: {advisor: {openid: "ben"}}, keep: {nickname: false, tags: false}}) { isRepeated } }`, nil)
		other.nicknamed("wei", "Stranger")

		want := []string{"wei NICKNAME [] [Wei]", "wei TAGS [] [gold]", "wei NICKNAME [Wei] []", "wei TAGS [gold] []"}
		// The two of one call have no order between them.
		last := func(got []string) []string { slices.Sort(got[min(2, len(got)):]); return got }
		var got, cursors []string
		seq := 0.0
		for range want {
			e := live.next()
			if n := e["sequence"].(float64); n <= seq { // events of other kinds have numbers between
				t.Errorf("behind event %v comes %v", seq, n)
			}
			seq = e["sequence"].(float64)
			got, cursors = append(got, changed(e)), append(cursors, e["cursor"].(string))
		}
		if !slices.Equal(last(got), want) {
			t.Errorf("pushed were %v, want %v", got, want)
		}
		if e := foreign.next(); changed(e) != "wei NICKNAME [] [Stranger]" {
			t.Errorf("the other account was told %v", e)
		}

		// The same, once each, by either way and from any cursor.
		for i, after := range append([]string{snapshot}, cursors...) {
			told, cursor, more := a.feed(after, 3)
			for more {
				var next []map[string]any
				next, cursor, more = a.feed(cursor, 1)
				told = append(told, next...)
			}
			if len(told) != len(want)-i {
				t.Fatalf("behind cursor %d the query tells %d changes", i, len(told))
			}
			if cursor != cursors[len(cursors)-1] {
				t.Errorf("behind cursor %d the query ends elsewhere", i)
			}
			sub := w.subscribe(w.bearer("admin", a.account), changeWatch, map[string]any{"after": after})
			for _, e := range told {
				if pushed := sub.next(); fmt.Sprint(pushed) != fmt.Sprint(e) {
					t.Errorf("behind cursor %d were pushed %v and told %v", i, pushed, e)
				}
			}
		}
		a.nicknamed("wei", "Wei")
		if e := live.next(); changed(e) != "wei NICKNAME [] [Wei]" || e["sequence"].(float64) <= seq {
			t.Errorf("then came %v", e)
		}
		_, end, _ := a.feed(nil, 200)
		for what, bad := range map[string]struct {
			cursor func(*events.Cursor)
			code   string
		}{
			"another epoch":     {func(c *events.Cursor) { c.Epoch[0]++ }, "CURSOR_EXPIRED"},
			"beyond the head":   {func(c *events.Cursor) { c.Seq++ }, "CURSOR_EXPIRED"},
			"another's":         {func(c *events.Cursor) { c.Stream = other.account }, "INVALID"},
			"an advisor's":      {func(c *events.Cursor) { c.Stream = keyOf(t, a.names["id anna"]) }, "INVALID"},
			"the right account": {func(*events.Cursor) {}, ""},
		} {
			c, err := events.DecodeCursor(end, "after")
			if err != nil {
				t.Fatal(err)
			}
			bad.cursor(&c)
			if code := a.try("admin", changePage, map[string]any{"after": events.EncodeCursor(c)}).code(); code != bad.code {
				t.Errorf("a cursor of %s is %q, want %q", what, code, bad.code)
			}
		}
		for first, code := range map[int]string{0: "INVALID", limits.PageMax: "", limits.PageMax + 1: "LIMIT_EXCEEDED"} {
			if got := a.try("admin", changePage, map[string]any{"first": first}).code(); got != code {
				t.Errorf("first %d is %q, want %q", first, got, code)
			}
		}
		w.settled()
		w.clock.Advance(limits.EventRetention + limits.ClockSkew + limits.RetentionInterval + time.Second)
		w.retain()
		if code := a.try("admin", changePage, map[string]any{"after": snapshot}).code(); code != "CURSOR_EXPIRED" {
			t.Errorf("a cursor of what is not kept is %q", code)
		}
		if told, _, more := a.feed(nil, 10); len(told) != 0 || more {
			t.Errorf("the feed begins with %v, more %v", told, more)
		}
	})
}

// Ensure of many who write the same customers at once, while several relay, every change has its own
// number without a hole, and each customer's changes follow one another as they were committed (rules F3, N4).
func TestCustomerChangesInOrder(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "lin of anna", "bo of anna"}}, "main")
		const writers, each, relays = 6, 10, 2
		people := []string{"wei", "lin", "bo"}
		token := w.bearer("admin", a.account)
		done := make(chan struct{})
		var writing, relaying sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for n := range each {
					got := w.ask(token, updateText, map[string]any{"c": []map[string]any{
						{"customer": map[string]any{"openid": people[(i+n)%3]}, "nickname": fmt.Sprintf("%d by %d", n, i)},
						{"customer": map[string]any{"openid": people[(i+n+1)%3]}, "nickname": fmt.Sprintf("%d beside %d", n, i)},
					}})
					if got.code() != "" {
						t.Errorf("writer %d: %.300s", i, got.body)
					}
				}
			})
		}
		for range relays {
			relaying.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if _, err := w.Services.RelayEvents(context.Background()); err != nil {
						t.Errorf("relay: %v", err)
					}
				}
			})
		}
		writing.Wait()
		close(done)
		relaying.Wait()
		w.relayed()
		is := map[string]string{"wei": "[]", "lin": "[]", "bo": "[]"}
		changes, seq, cursor := 0, 0.0, any(nil)
		for more := true; more; {
			var told []map[string]any
			told, cursor, more = a.feed(cursor, limits.PageMax)
			for _, e := range told {
				changes++
				c := e["change"].(map[string]any)
				who := c["customer"].(map[string]any)["openid"].(string)
				// The first follows those that the account began with.
				if n := e["sequence"].(float64); seq != 0 && n != seq+1 || fmt.Sprint(c["from"]) != is[who] {
					t.Fatalf("behind event %v comes %v; %s was %s", seq, e, who, is[who])
				}
				seq = e["sequence"].(float64)
				is[who] = fmt.Sprint(c["to"])
			}
		}
		if changes != 2*writers*each {
			t.Errorf("%d changes are in the feed, %d were made", changes, 2*writers*each)
		}
		for who, nickname := range is {
			if now := a.do("admin", `query($o: Identifier!) { customer(by: {openid: $o}) { nickname } }`, map[string]any{"o": who}).text("customer.nickname"); "["+now+"]" != nickname {
				t.Errorf("%s is called %s, the feed ends with %s", who, now, nickname)
			}
		}
	})
}

// Ensure a page of the feed takes as many statements for 200 changes as for 5, and that 500 changes of one
// call, in many accounts, all get their numbers.
func TestStatementsOfTheFeed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Tags: []string{"level of gold"}}, "main")
		people := a.crowd("c", limits.EditBatch)
		w.relayed()
		after := a.do("admin", `{ eventCursor }`, nil).text("eventCursor")
		before := w.count("SELECT head FROM stream WHERE account_id = ? AND id = ?", a.account, a.account)
		a.do("admin", tagText, map[string]any{"c": tagging(people, []string{"gold"}, nil)})
		for i := range 3 {
			b := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, fmt.Sprint("other", i))
			b.nicknamed("wei", "Wei")
		}
		w.relayed()
		page := `query($n: Int!, $after: String) { customerChangeFeed(first: $n, after: $after) { events { ... on CustomerChanged { change { field to customer { openid tags { name } advisor { nickname } } } } } } }`
		if small, large := a.statements("admin", page, map[string]any{"n": 5, "after": after}), a.statements("admin", page, map[string]any{"n": 200, "after": after}); small != large || large > 16 {
			t.Errorf("a page of 5 takes %d statements, of 200 %d", small, large)
		}
		if n := w.count("SELECT head FROM stream WHERE account_id = ? AND id = ?", a.account, a.account); n != before+limits.EditBatch {
			t.Errorf("the head is %d, and was %d", n, before)
		}
	})
}
