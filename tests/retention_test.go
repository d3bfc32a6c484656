package tests

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/internal/transport"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// retain makes a pass of deletion, without a rest, if one is due: not within
// limits.RetentionInterval of the one that the server makes when it starts.
func (w *world) retain() services.Retained {
	w.tb.Helper()
	done, err := w.Services.Retain(context.Background(), func(context.Context) error { return nil })
	if err != nil {
		w.tb.Fatalf("retain: %v", err)
	}
	return done
}

// settled returns once the pass that the server makes when it starts has ended, and what was done so far is told in the accounts' streams.
func (w *world) settled() {
	w.tb.Helper()
	due := int64(models.At(testkit.Start).Add(limits.RetentionInterval))
	w.await("the first pass has ended", func() bool { return w.count("SELECT COUNT(*) FROM sweep WHERE leased_until = ?", due) == 1 })
	w.relayed()
}

// position is an advisor's cursor at the head, decoded.
func (t *tenant) position(who string) events.Cursor {
	t.tb.Helper()
	c, err := events.DecodeCursor(t.cursor(who), "after")
	if err != nil {
		t.tb.Fatal(err)
	}
	return c
}

// Ensure what is kept for a time is kept for that time, and gone after it (rules N4, E15, K1, C2,
// V1): to the microsecond, a pass each limits.RetentionInterval.
func TestRetention(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "other")
		w.settled()
		send := func(key string) string {
			t.Helper()
			return a.do("anna", sendText, sending("wei", "hello", key)).text("sendMessage.message.id")
		}
		a.write("wei", "one")
		first := send("old")
		w.delivered()
		a.do("admin", `mutation { revokeToken(input: {tokenId: "gone", expiresAt: "2026-03-02T02:00:00Z"}) { rememberedUntil } }`, nil)
		pay := func() bool {
			t.Helper()
			answer := a.do("admin", `mutation { recordPayment(input: {payments: [{customer: {openid: "wei"}, transactionId: "42", at: "2026-03-01T00:00:00Z"}]}) {
				results { isRepeated error { code } } } }`, nil)
			return bytes.Contains(answer.body, []byte(`"isRepeated":true`))
		}
		if pay() {
			t.Error("the payment is repeated")
		}
		floor := a.position("anna").Seq
		scans := w.count("SELECT COUNT(*) FROM inbound WHERE outcome <> ''")
		w.clock.Advance(time.Microsecond)
		a.write("wei", "two")
		second := send("young")
		w.delivered()
		head := a.position("anna").Seq

		w.clock.Advance(limits.EventRetention + limits.ClockSkew)
		a.write("wei", "opens the window")
		w.delivered()
		late := a.position("anna").Seq
		done := w.retain()
		if events := w.count("SELECT COUNT(*) FROM event WHERE at < ?", testkit.Start.UnixMicro()+1); events != 0 || done.Events < int(floor) {
			t.Errorf("%d old events stay, %d went", events, done.Events)
		}
		anna := key(t, a.names["id anna"])
		if n := w.count("SELECT COUNT(*) FROM event WHERE account_id = ? AND stream_id = ?", a.account[:], anna); n != late-floor {
			t.Errorf("%d events stay, want %d", n, late-floor)
		}
		if n := w.count("SELECT floor_seq FROM stream WHERE account_id = ? AND id = ?", a.account[:], anna); n != floor {
			t.Errorf("the floor is %d, want %d", n, floor)
		}
		if done.Idempotency != 1 || done.Revocations != 1 || done.Inbound == 0 {
			t.Errorf("went: %+v", done)
		}
		if n := w.count("SELECT COUNT(*) FROM inbound WHERE outcome <> ''"); n != scans {
			t.Errorf("%d records of scans stay of %d", n, scans)
		}
		if n := w.count("SELECT COUNT(*) FROM inbound WHERE outcome = '' AND kind <> 'PAYMENT' AND created_at <= ?", testkit.Start.UnixMicro()); n != 0 {
			t.Errorf("%d old records of callbacks stay", n)
		}
		if !pay() {
			t.Error("the payment counts again")
		}
		// The old key is a new one; the young one has its first result.
		if send("old") == first {
			t.Error("the old key answers the first result")
		}
		if send("young") != second {
			t.Error("the young key does not answer its first result")
		}
		w.delivered()
		at := a.position("anna")
		if at.Seq <= head {
			t.Errorf("numbers do not go on: %d after %d", at.Seq, head)
		}
		for seq, code := range map[int64]string{floor - 1: "CURSOR_EXPIRED", at.Seq + 1: "CURSOR_EXPIRED"} {
			c := at
			c.Seq = seq
			if got := a.watchMessages("anna", events.EncodeCursor(c)).refused(); got != code {
				t.Errorf("at %d: %q, want %q", seq, got, code)
			}
		}
		c := at
		c.Seq = floor
		if e := a.watchMessages("anna", events.EncodeCursor(c)).next(); e["sequence"] != float64(floor+1) {
			t.Errorf("at the floor: %v", e)
		}

		w.clock.Advance(limits.RetentionInterval - time.Microsecond)
		if done := w.retain(); !done.IsZero() {
			t.Errorf("a pass before its time deleted %+v", done)
		}
		w.clock.Advance(time.Microsecond)
		if done := w.retain(); done.Events == 0 {
			t.Error("the next pass deleted nothing")
		}
		if n := w.count("SELECT COUNT(*) FROM event WHERE account_id = ? AND stream_id = ? AND seq <= ?", a.account[:], anna, head); n != 0 {
			t.Errorf("%d events of the second pass stay", n)
		}
	})
}

// Ensure a server makes its passes by itself, and spares what is not old.
func TestRetentionRunsByItself(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		w.relayed()
		anna, old := key(t, a.names["id anna"]), a.position("anna").Seq
		w.clock.Advance(limits.EventRetention + 2*limits.ClockSkew)
		a.write("wei", "hello")
		w.stop()
		w = start(t, dsn, options{clock: w.clock})
		events := func() int64 {
			return w.count("SELECT COUNT(*) FROM event WHERE account_id = ? AND stream_id = ?", a.account[:], anna)
		}
		w.await("the old events are deleted", func() bool {
			return w.count("SELECT COUNT(*) FROM event WHERE account_id = ? AND stream_id = ? AND seq <= ?", a.account[:], anna, old) == 0
		})
		if events() == 0 {
			t.Error("young events went")
		}
	})
}

// Ensure what a pass that died left below a floor is deleted by the next, and what is above stays.
func TestRetentionFinishesWhatWasBegun(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		w.settled()
		for range 20 {
			a.write("wei", "hello")
		}
		anna, head := key(t, a.names["id anna"]), a.position("anna").Seq
		if _, err := w.db.ExecContext(t.Context(), "UPDATE stream SET floor_seq = 10 WHERE account_id = ? AND id = ?", a.account[:], anna); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.ExecContext(t.Context(), "DELETE FROM event WHERE account_id = ? AND stream_id = ? AND seq <= 4", a.account[:], anna); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.RetentionInterval)
		if done := w.retain(); done.Events != 6 {
			t.Errorf("%d events went, want 6", done.Events)
		}
		if n := w.count("SELECT COUNT(*) FROM event WHERE account_id = ? AND stream_id = ? AND seq > 10", a.account[:], anna); n != head-10 {
			t.Errorf("%d events stay, want %d", n, head-10)
		}
	})
}

// Ensure 200,000 events are deleted while their streams are written to: no writer fails, the log
// has no hole, and what is young stays. (That a writer never waits for a deletion is shown in
// store.TestDeletionAndWritersDoNotWait.)
func TestRetentionBesideTraffic(t *testing.T) {
	w := start(t, testkit.MySQL(t), options{})
	const streams, old, writers = 20, 10_000, 4
	a := w.found(setup{Advisors: named("a", streams)}, "main")
	w.settled()
	// The streams' own few events make way for numbers that begin at 1. The account's has no part in it.
	for _, statement := range []string{
		"DELETE FROM event",
		"DELETE FROM stream WHERE id = account_id",
		fmt.Sprintf(`INSERT INTO event (account_id, stream_id, seq, kind, at) SELECT s.account_id, s.id, 1 + n.n + 1000 * m.n, 'ADVISOR_CHANGED', 1
			FROM stream s, (%s) n, (%s) m`, numbers(1_000), numbers(old/1_000)),
		fmt.Sprintf("UPDATE stream SET head = %d", old),
	} {
		if _, err := w.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count("SELECT COUNT(*) FROM event"); n != streams*old {
		t.Fatalf("%d events to begin with", n)
	}
	keys := make([]models.Key, 0, streams)
	for _, who := range named("a", streams) {
		keys = append(keys, keyOf(t, a.names["id "+who]))
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var written, slowest atomic.Int64
	for i := range writers {
		all.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				began := time.Now()
				err := w.Store.Write(context.WithoutCancel(ctx), store.System(), a.account, func(tx *store.Tx) error {
					tx.Emit(models.Event{Stream: keys[n%streams], Kind: models.EventAdvisorChanged})
					return nil
				})
				if err != nil {
					t.Errorf("a writer failed: %v", err)
				}
				for took := int64(time.Since(began)); ; {
					if s := slowest.Load(); took <= s || slowest.CompareAndSwap(s, took) {
						break
					}
				}
				written.Add(1)
			}
		})
	}
	w.await("the writers write", func() bool { return written.Load() > 2*streams })
	w.clock.Advance(limits.RetentionInterval)
	began := time.Now()
	done := w.retain()
	took := time.Since(began)
	beside := written.Load()
	w.await("every stream was written to after the deletion", func() bool { return written.Load() > beside+2*streams })
	stop()
	all.Wait()
	t.Logf("%d events deleted in %v beside %d transactions, the slowest of which took %v", done.Events, took, beside, time.Duration(slowest.Load()))
	if done.Events != streams*old {
		t.Errorf("%d events went", done.Events)
	}
	if n := w.count("SELECT COUNT(*) FROM stream WHERE floor_seq <> ?", old); n != 0 {
		t.Errorf("%d streams have another floor", n)
	}
	if n := w.count("SELECT COUNT(*) FROM event"); n != written.Load() {
		t.Errorf("%d events stay of %d that were written meanwhile", n, written.Load())
	}
	if n := w.count(`SELECT COUNT(*) FROM stream s WHERE s.head - s.floor_seq <> (SELECT COUNT(*) FROM event e WHERE e.account_id = s.account_id
		AND e.stream_id = s.id AND e.seq > s.floor_seq)`); n != 0 {
		t.Errorf("%d streams have holes", n)
	}
}

// numbers is a query for the numbers below n, as its column n.
func numbers(n int) string {
	var b strings.Builder
	b.WriteString("SELECT 0 AS n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, " UNION ALL SELECT %d", i)
	}
	return b.String()
}

// Ensure a subscription that is open and behind when retention passes it ends with CURSOR_EXPIRED
// after what it had in hand, and leaves nothing out before that (rule N4).
func TestRetentionOvertakesASlowReader(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		// Nothing is swept: the lease that lapses when the clock is set would be told of by a young event.
		w := start(t, dsn, options{sweep: time.Hour, sockets: func(o *transport.WebSocketOptions) {
			o.WriteTimeout, o.SendBuffer, o.PingInterval = patience, 16<<10, -1
		}})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		slow := w.stall(a, "anna")
		begin := a.position("anna").Seq
		const n = 500
		for range n {
			a.write("wei", longText)
		}
		head := a.position("anna").Seq
		pushed := w.metric(`clientele_events_pushed_total{transport="websocket"}`)
		if pushed >= n-limits.StreamRing {
			t.Fatalf("%v of %d events were written: the reader is not behind", pushed, n)
		}
		w.clock.Advance(limits.EventRetention + 2*limits.ClockSkew)
		if done := w.retain(); done.Events < n {
			t.Fatalf("%+v went", done)
		}
		w.await("the hub knows the floor", func() bool {
			return w.count("SELECT COUNT(*) FROM stream WHERE head = floor_seq AND id <> account_id") > 0
		})
		// The client reads again.
		last := begin
		for {
			f := slow.read()
			if f.Type == "error" {
				if !bytes.Contains(f.Payload, []byte(`"CURSOR_EXPIRED"`)) {
					t.Fatalf("it ended with %s", f.Payload)
				}
				break
			}
			if seq := sequenceOf(t, f); seq != last+1 {
				t.Fatalf("number %d came after %d", seq, last)
			}
			last++
		}
		if last == head || last == begin {
			t.Errorf("%d of %d events came before the end", last-begin, n)
		}
		slow.conn.Close()
	})
}
