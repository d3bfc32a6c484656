package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

const days = 24 * time.Hour

// Ensure a message is shown for the days of the account's setting and kept for those of the other, to the microsecond;
// that the last of a conversation stays, as its line in the inbox and by its id, until another follows it; and that what
// has yet to be sent stays (rule G11).
func TestMessageRetention(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		people := setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}
		a := w.found(people, "main")
		people.Settings = map[string]any{"messageReadableDays": 5, "messageRetentionDays": 8}
		short := w.found(people, "other")
		w.settled()
		kept := func(of *tenant) int64 {
			return w.count("SELECT COUNT(*) FROM message WHERE account_id = ?", of.account[:])
		}
		for _, of := range []*tenant{a, short} {
			of.write("wei", "one")
			of.send("anna", "wei", "answer")
			of.write("li", "only")
		}
		w.delivered()
		first := messageIDs(a, "anna", "wei")[1]
		only := messageIDs(a, "anna", "li")[0]
		w.clock.Advance(time.Microsecond)
		a.write("wei", "two")
		short.write("wei", "two")
		unread := a.do("anna", lineText, map[string]any{"o": "wei"}).field("conversation.unreadCount")

		// The account that keeps them for 8 days.
		w.clock.Advance(5*days - time.Microsecond)
		if got := short.written("anna", "wei"); len(got) != 3 {
			t.Errorf("after 5 days %q", got)
		}
		w.clock.Advance(time.Microsecond)
		if got := short.written("admin", "wei"); !slices.Equal(got, []string{"two RECEIVED"}) {
			t.Errorf("a microsecond later %q", got)
		}
		w.clock.Advance(3*days - time.Microsecond + limits.ClockSkew)
		if done := w.retain(); done.Messages != 0 {
			t.Errorf("before their time %d went", done.Messages)
		}
		w.clock.Advance(limits.RetentionInterval)
		// All are old; the last of wei and of li stay.
		if done := w.retain(); done.Messages != 2 || kept(short) != 2 || kept(a) != 4 {
			t.Errorf("%d went, %d and %d are kept", done.Messages, kept(short), kept(a))
		}

		// The account that did not say.
		w.clock.Advance(limits.MessageReadable - 8*days - limits.ClockSkew - limits.RetentionInterval)
		if got := a.written("anna", "wei"); len(got) != 3 {
			t.Errorf("after 30 days %q", got)
		}
		w.clock.Advance(time.Microsecond)
		if got := a.written("anna", "wei"); !slices.Equal(got, []string{"two RECEIVED"}) {
			t.Errorf("a microsecond later %q", got)
		}
		w.clock.Advance(days)
		for _, who := range []string{"anna", "admin"} {
			if got := a.written(who, "wei"); len(got) != 0 {
				t.Errorf("%s reads %q", who, got)
			}
			if got := a.do(who, lineText, map[string]any{"o": "wei"}).text("conversation.lastMessage.content.text"); got != "two" {
				t.Errorf("%s sees the line %q", who, got)
			}
			if got := a.try(who, `query($m: ID!) { node(id: $m) { id } }`, map[string]any{"m": first}).code(); got != "NOT_FOUND" {
				t.Errorf("%s gets the hidden one by its id: %q", who, got)
			}
			if got := a.do(who, `query($m: ID!) { node(id: $m) { id } }`, map[string]any{"m": only}).text("node.id"); got != only {
				t.Errorf("%s gets the last one by its id: %q", who, got)
			}
		}
		for _, mutation := range []string{
			`mutation($m: ID!) { markConversationRead(input: {customer: {openid: "wei"}, upToMessageId: $m}) { conversation { id } } }`,
			`mutation($m: ID!) { resendMessage(input: {messageId: $m, idempotencyKey: "again"}) { message { id } } }`,
		} {
			if got := a.try("anna", mutation, map[string]any{"m": first}).code(); got != "NOT_FOUND" {
				t.Errorf("%s: %q", mutation, got)
			}
		}
		if lines := a.do("admin", `mutation { exportCustomer(input: {customer: {openid: "wei"}}) { lines } }`, nil).field("exportCustomer.lines").([]any); kept(a) != 4 ||
			!containsText(lines, `"answer"`) {
			t.Errorf("what is kept is not exported: %v", lines)
		}
		before := a.do("anna", lineText, map[string]any{"o": "wei"}).field("conversation")
		w.clock.Advance(limits.MessageRetention)
		if done := w.retain(); done.Messages != 2 || kept(a) != 2 {
			t.Errorf("%d went, %d are kept", done.Messages, kept(a))
		}
		after := a.do("anna", lineText, map[string]any{"o": "wei"})
		if fmt.Sprint(before) != fmt.Sprint(after.field("conversation")) || after.field("conversation.unreadCount") != unread {
			t.Errorf("the line was\n%v, and is\n%v", before, after.Data)
		}
		// What was last and is so no longer goes, what waits to be sent does not.
		a.write("wei", "three")
		a.write("li", "four")
		if _, err := w.db.ExecContext(t.Context(), "UPDATE message SET status = 'QUEUED' WHERE account_id = ? AND text = 'only'", a.account[:]); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.RetentionInterval)
		if done := w.retain(); done.Messages != 1 || kept(a) != 3 {
			t.Errorf("%d went, %d are kept", done.Messages, kept(a))
		}
		if _, err := w.db.ExecContext(t.Context(), "UPDATE message SET status = 'SENT' WHERE text = 'only'"); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.RetentionInterval)
		if done := w.retain(); done.Messages != 1 || kept(a) != 2 || w.count("SELECT COUNT(*) FROM message_sweep WHERE again IS NOT NULL") != 0 {
			t.Errorf("%d went, %d are kept", done.Messages, kept(a))
		}
		w.clock.Advance(limits.RetentionInterval)
		if done := w.retain(); done.Messages != 0 {
			t.Errorf("a pass with nothing to do deleted %d", done.Messages)
		}
		if got := a.written("anna", "wei"); !slices.Equal(got, []string{"three RECEIVED"}) {
			t.Errorf("at the end %q", got)
		}
	})
}

func messageIDs(a *tenant, who, openid string) (ids []string) {
	nodes := a.do(who, `query($o: Identifier!) { conversation(customer: {openid: $o}) { messages { nodes { id } } } }`, map[string]any{"o": openid}).field("conversation.messages.nodes").([]any)
	for _, n := range nodes {
		ids = append(ids, (&answer{Data: n.(map[string]any)}).text("id"))
	}
	return ids
}

func containsText(lines []any, text string) bool {
	return slices.ContainsFunc(lines, func(l any) bool { return strings.Contains(fmt.Sprint(l), text) })
}

// Ensure events live as long as the account says, and that one whose message may not be read any more arrives as
// Withdrawn (rules N4, G11).
func TestEventRetentionOfAccounts(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		people := setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}, Settings: map[string]any{"eventRetentionDays": 9, "messageReadableDays": 1}}
		a := w.found(people, "main")
		other := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "other")
		w.settled()
		at := a.cursor("anna")
		a.write("wei", "one")
		a.write("wei", "two")
		w.clock.Advance(8 * days)
		if done := w.retain(); done.Events == 0 || w.count("SELECT floor_seq FROM stream WHERE account_id = ? AND id = ?", a.account[:], key(t, a.names["id anna"])) != 0 ||
			w.count("SELECT COUNT(*) FROM event WHERE account_id = ?", other.account[:]) != 0 {
			t.Errorf("went: %+v", done)
		}
		sub := w.subscribe(w.bearer("anna", a.account), `subscription($after: String) { messages(after: $after) { __typename } }`, map[string]any{"after": at})
		for i, want := range []string{"Withdrawn", "MessageReceived"} { // "two" is the conversation's last
			if e := sub.next(); e["__typename"] != want {
				t.Errorf("%d: %v, want %s", i, e, want)
			}
		}
		w.clock.Advance(days + limits.ClockSkew + time.Microsecond)
		w.retain()
		if got := a.watchMessages("anna", at).refused(); got != "CURSOR_EXPIRED" {
			t.Errorf("after 9 days: %q", got)
		}
	})
}

// Ensure the statements of a pass are as many for many messages as for few.
func TestStatementsOfMessageRetention(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		w.settled()
		a.write("wei", "the first")
		pass := func(messages int) int64 {
			t.Helper()
			for i := range messages {
				a.write("wei", fmt.Sprint(i))
			}
			// Events and callbacks' records go first, so that the pass that is counted has messages alone.
			w.clock.Advance(limits.MessageRetention - days)
			w.retain()
			w.clock.Advance(2 * days)
			var n atomic.Int64
			done, err := w.Services.Retain(store.CountStatements(context.Background(), &n), func(context.Context) error { return nil })
			if err != nil || done.Messages < messages-1 { // the last of the first pass went before
				t.Fatalf("%+v was deleted, %v", done, err)
			}
			return n.Load()
		}
		pass(2) // from then on there is something behind
		if few, many := pass(2), pass(300); many > few {
			t.Errorf("%d statements for a little, %d for much", few, many)
		}
	})
}

// Ensure two nodes that delete at once, beside who writes new messages and imports past ones into the same range, delete
// what is old, once, and nothing else; that no writer fails; and that the conversations end with their last messages.
func TestMessageRetentionBesideTraffic(t *testing.T) {
	dsn := testkit.MySQL(t)
	w := start(t, dsn, options{})
	const customers, old = 20, 30_000
	a := w.found(setup{Advisors: []string{"anna"}, Customers: peopled(customers)}, "main")
	two := start(t, dsn, options{clock: w.clock})
	w.settled()
	// Old messages of all conversations, with keys that ascend with their time, which is long ago.
	if _, err := w.db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO message (account_id, id, customer_id, direction, kind, text, status, at, created_at)
		SELECT c.account_id, UNHEX(CONCAT('0000000000017000', LPAD(HEX(256 * (c.no * %[1]d + n.n + 1000 * m.n)), 16, '0'))), c.id, 'FROM_CUSTOMER', 'TEXT', 'old', 'RECEIVED', 1, 1
		FROM (SELECT account_id, id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS no FROM customer WHERE openid LIKE 'c%%') c, (%[2]s) n, (%[3]s) m WHERE n.n + 1000 * m.n < %[1]d`,
		old/customers, numbers(1_000), numbers(2))); err != nil {
		t.Fatal(err)
	}
	if n := w.count("SELECT COUNT(*) FROM message WHERE text = 'old'"); n != old {
		t.Fatalf("%d old messages", n)
	}
	keys := make([]models.Key, customers)
	for i := range keys {
		keys[i] = keyOf(t, a.names[fmt.Sprint("id c", i)])
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var written, past atomic.Int64
	all.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			a.write(fmt.Sprint("c", i%customers), "new")
			written.Add(1)
		}
	})
	all.Go(func() { // into the range that is being deleted
		for i := range 200 {
			key := models.Key{0, 0, 0, 0, 0, 1, 0x70, 0, 0, 0, 0, 0, 0, byte(i / 2), byte(i), 1}
			customer := keys[i%customers]
			err := w.Store.Write(ctx, store.System(), a.account, func(tx *store.Tx) error {
				if _, _, err := tx.LockCustomers([]models.Key{customer}); err != nil {
					return err
				}
				return tx.InsertPastMessages([]*models.Message{{
					AccountID: a.account, Key: key, CustomerID: customer, Direction: models.FromCustomer, Kind: models.ContentText, Text: "past", MediaRef: fmt.Sprint(i),
					DedupKey: models.Ident(fmt.Sprint("import:", i)), Status: models.StatusImported, CreatedAt: w.clock.Time(),
				}})
			})
			if err != nil && ctx.Err() == nil {
				t.Errorf("a past message: %v", err)
			}
			if err == nil {
				past.Add(1)
			}
		}
	})
	w.await("they write", func() bool { return written.Load() > 0 && past.Load() > 0 })
	var gone atomic.Int64
	for w.count("SELECT COUNT(*) FROM message WHERE text = 'old'") > 0 {
		if _, err := w.db.ExecContext(t.Context(), "UPDATE sweep SET leased_until = 0"); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		for _, node := range []*services.Services{w.Services, two.Services} {
			both.Go(func() {
				done, _ := node.Retain(context.Background(), func(context.Context) error {
					_, err := w.db.ExecContext(context.Background(), "UPDATE sweep SET leased_until = 0")
					return err
				})
				gone.Add(int64(done.Messages))
			})
		}
		both.Wait()
	}
	stop()
	all.Wait()
	if gone.Load() != old {
		t.Errorf("%d messages went, of %d that were old", gone.Load(), old)
	}
	if n := w.count("SELECT COUNT(*) FROM message WHERE text = 'new'"); n != written.Load() {
		t.Errorf("%d messages stay of %d that were written meanwhile", n, written.Load())
	}
	if n := w.count("SELECT COUNT(*) FROM message WHERE text = 'past'"); n != past.Load() {
		t.Errorf("%d past messages stay of %d", n, past.Load())
	}
	if n := w.count("SELECT COUNT(*) FROM conversation c LEFT JOIN message m ON m.account_id = c.account_id AND m.id = c.last_message_id WHERE c.last_message_id IS NOT NULL AND m.id IS NULL"); n != 0 {
		t.Errorf("%d conversations have lost their last message", n)
	}
}

func peopled(n int) (customers []string) {
	for i := range n {
		customers = append(customers, fmt.Sprintf("c%d of anna", i))
	}
	return customers
}
