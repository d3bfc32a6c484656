package tests

import (
	"context"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/services"
)

// Ensure that after a restore nothing that stood in a queue is ever sent by itself: what was in
// hand and what only waited is UNKNOWN, once, with an event, its allowance taken, and the queues
// are empty; and that running it again finds nothing (rules N4, G6).
func TestRestored(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna", "mei of anna"}}, "main")
		other := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "other")
		// Nothing leaves: the sandbox cannot be reached, so that messages wait for another attempt.
		for _, tenant := range []*tenant{a, other} {
			tenant.do("admin", `mutation { simulateSending(input: {sending: UNREACHABLE}) { sending } }`, nil)
		}
		a.write("wei", "hello")
		a.write("li", "hello")
		other.write("wei", "hello")
		var sent []string
		for range 3 {
			sent = append(sent, a.send("anna", "wei", "to wei"))
		}
		sent = append(sent, a.send("anna", "li", "to li"), other.send("anna", "wei", "to wei"))
		w.await("each account's channel was tried", func() bool {
			return w.count("SELECT COUNT(*) FROM outbound_gate WHERE paused_until > 0") == 2 && w.count("SELECT COUNT(*) FROM delivery WHERE state <> 'WAITING'") == 0
		})
		if _, err := w.db.ExecContext(t.Context(), "UPDATE delivery SET state = 'CLAIMED' WHERE customer_id = ?", key(t, a.names["id li"])); err != nil {
			t.Fatal(err)
		}
		left := func() int64 { return w.count("SELECT SUM(window_left) FROM conversation") }
		w.relayed()
		before, heads, epoch := left(), w.count("SELECT SUM(head) FROM stream"), a.position("anna").Epoch

		w.clock.Advance(time.Second)
		done, err := w.Services.Restored(context.Background())
		if err != nil || done != (services.Restoration{Messages: 5, Customers: 3}) {
			t.Fatalf("%+v, %v", done, err)
		}
		if n := w.count("SELECT (SELECT COUNT(*) FROM delivery) + (SELECT COUNT(*) FROM outbox)"); n != 0 {
			t.Errorf("%d rows of queues are left", n)
		}
		for _, id := range sent {
			k := keyOf(t, id)
			if n := w.count("SELECT COUNT(*) FROM message WHERE id = ? AND status = ? AND status_at = ?", k[:], string(models.StatusUnknown), int64(w.clock.Time())); n != 1 {
				t.Errorf("message %s is not UNKNOWN", k)
			}
			if n := w.count("SELECT COUNT(*) FROM event WHERE message_id = ? AND at = ?", k[:], int64(w.clock.Time())); n != 1 {
				t.Errorf("%d events tell of %s", n, k)
			}
		}
		if after := left(); after != before {
			t.Errorf("%d replies are left, %d were", after, before)
		}
		if after := w.count("SELECT SUM(head) FROM stream"); after != heads+5 {
			t.Errorf("%d events were made", after-heads)
		}
		if a.position("anna").Epoch == epoch {
			t.Error("the epoch is the same")
		}
		if done, err := w.Services.Restored(context.Background()); err != nil || done != (services.Restoration{}) {
			t.Errorf("again: %+v, %v", done, err)
		}
		// The customer can be written to again.
		a.do("admin", `mutation { simulateSending(input: {sending: ACCEPT}) { sending } }`, nil)
		a.send("anna", "wei", "once more")
		w.delivered()
		if n := w.count("SELECT COUNT(*) FROM message WHERE status = ?", string(models.StatusSent)); n != 1 {
			t.Errorf("%d messages are SENT", n)
		}
	})
}

// key is the key in a global id, as the database takes it.
func key(tb testing.TB, id string) []byte {
	tb.Helper()
	k := keyOf(tb, id)
	return k[:]
}
