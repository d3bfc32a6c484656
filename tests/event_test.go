package tests

import (
	"testing"
	"time"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure a cursor that cannot be continued is refused and never skips silently (rule N4).
func TestCursorExpired(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		for range 5 {
			a.write("wei", "hello")
		}
		head, err := events.DecodeCursor(a.cursor("anna"), "after")
		if err != nil {
			t.Fatal(err)
		}
		at := func(change func(*events.Cursor)) string {
			c := head
			change(&c)
			return events.EncodeCursor(c)
		}
		refused := func(name, cursor, code string) {
			t.Helper()
			for _, watch := range []func(string, any) *subscription{a.watchMessages, a.watchNotifications} {
				if got := watch("anna", cursor).refused(); got != code {
					t.Errorf("%s: %q, want %q", name, got, code)
				}
			}
		}
		refused("beyond the head", at(func(c *events.Cursor) { c.Seq++ }), "CURSOR_EXPIRED")
		refused("of another epoch", at(func(c *events.Cursor) { c.Epoch[0]++ }), "CURSOR_EXPIRED")
		refused("damaged", a.cursor("anna")+"A", "INVALID")
		if _, err := w.db.ExecContext(t.Context(), "UPDATE stream SET floor_seq = head - 2 WHERE id = ?", head.Stream[:]); err != nil {
			t.Fatal(err)
		}
		refused("before the floor", at(func(c *events.Cursor) { c.Seq -= 3 }), "CURSOR_EXPIRED")
		s := a.watchMessages("anna", at(func(c *events.Cursor) { c.Seq -= 2 }))
		if e := s.next(); e["sequence"] != float64(head.Seq-1) && e["sequence"] != float64(head.Seq) {
			t.Errorf("at the floor: %v", e)
		}
	})
}

// quick is for tests that close apps again and again: each waits until its lease is swept.
const quick = 50 * time.Millisecond

// Ensure a client that keeps the cursor with each event sees every event exactly once, however
// often it comes back (rule N4).
func TestResume(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: quick})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		var cursor any = a.cursor("anna")
		first := 0.0
		for round := range 10 {
			a.write("wei", "one")
			s := a.watchMessages("anna", cursor)
			a.write("li", "two")
			a.send("anna", "wei", "three")
			// Of four events the client deals with three before it is gone; the fourth comes next time.
			most := 3
			if round > 0 {
				most = 4
			}
			for range most {
				e := s.next()
				sequence, _ := e["sequence"].(float64)
				if first != 0 && sequence <= first {
					t.Fatalf("round %d: %v came again", round, sequence)
				}
				first, cursor = sequence, e["cursor"]
			}
			s.close()
			w.delivered()
		}
		head, err := events.DecodeCursor(a.cursor("anna"), "after")
		if err != nil {
			t.Fatal(err)
		}
		s := a.watchMessages("anna", cursor)
		last := s.next()
		if last["sequence"] != float64(head.Seq) {
			t.Errorf("the last event is %v, the head %d", last["sequence"], head.Seq)
		}
	})
}

// Ensure a client that comes back far behind gets all of it at once, although events of the other
// subscription stand between and the log is read in pages: nothing waits for the next event.
func TestCatchUp(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: quick})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		cursor := a.cursor("anna")
		const written = limits.StreamPage + 3 // each makes two events: the message, and the notification
		for range written {
			a.write("wei", "hello")
		}
		for _, watch := range []func(string, any) *subscription{a.watchMessages, a.watchNotifications} {
			s := watch("anna", cursor)
			for range written {
				s.next()
			}
			s.close()
		}
	})
}

// Ensure that one advisor's events never reach another, whatever both do.
func TestOthersHearNothing(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "li of ben"}}, "main")
		anna, ben := a.watchMessages("anna", nil), a.watchMessages("ben", nil)
		for range 10 {
			a.write("wei", "for anna")
		}
		a.write("li", "for ben")
		if e := ben.next(); e["conversation"].(map[string]any)["customer"].(map[string]any)["openid"] != "li" {
			t.Errorf("ben heard %v", e)
		}
		for range 10 {
			if e := anna.next(); e["conversation"].(map[string]any)["customer"].(map[string]any)["openid"] != "wei" {
				t.Errorf("anna heard %v", e)
			}
		}
	})
}
