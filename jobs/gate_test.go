package jobs_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// Ensure messages of a channel that is away for limits.DeliveryWait FAILED once they waited so
// long, and not those that came later, nor another account's.
func TestWaitedTooLong(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return errAway }))
		sh, other := newShop(t, n.store, 4), newShop(t, n.store, 1)
		var old []*models.Message
		for i := range 3 {
			old = append(old, sh.send(n, i), sh.send(n, i))
		}
		others := other.send(n, 0)
		sh.deliver(n, sh.claim(n, 0)) // the channel is away from here on
		clock.Advance(time.Second)
		late := []*models.Message{sh.send(n, 0), sh.send(n, 3)}
		clock.Advance(limits.DeliveryWait - time.Second - time.Microsecond)
		sh.setGate(func(g *models.Gate) { g.PausedUntil = clock.Time() }) // as if it had been tried all the while
		if done, _ := sh.deliver(n, sh.claim(n, 1)); !done.Paused || done.Stale != 0 {
			t.Fatalf("before its time: %+v", done)
		}
		clock.Set(testkit.Start.Add(limits.DeliveryWait))
		// The attempt before paused the account; nobody has to wait for it in this test.
		sh.setGate(func(g *models.Gate) { g.PausedUntil = clock.Time() })
		done, _ := sh.deliver(n, sh.claim(n, 2))
		if done.Stale != models.At(testkit.Start) {
			t.Fatalf("at its time: %+v", done)
		}
		failed, err := n.FailStale(t.Context(), sh.account.Key, done.Stale)
		if err != nil || failed != len(old) {
			t.Errorf("%d FAILED, %v; want %d", failed, err, len(old))
		}
		for i, m := range old {
			if got := sh.status(m); got != "FAILED CHANNEL_UNAVAILABLE" {
				t.Errorf("message %d is %s", i, got)
			}
		}
		for i, m := range late {
			if got := sh.status(m); got != "QUEUED" {
				t.Errorf("the later message %d is %s", i, got)
			}
		}
		if got := other.status(others); got != "QUEUED" {
			t.Errorf("the other account's is %s", got)
		}
		if a, b := sh.left(0), sh.left(1); a != limits.ReplyMessages-1 || b != limits.ReplyMessages {
			t.Errorf("%d and %d replies are left", a, b)
		}
		if n := sh.count("SELECT COUNT(*) FROM outbox WHERE account_id = ?", sh.account.Key); n != 2 {
			t.Errorf("%d queues", n)
		}
	})
}

// Ensure time in which nobody asked the channel is none in which it was away: no messages, no nodes,
// or a closed account. The next failure begins an outage, with the first pause.
func TestNobodyAsked(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return errAway }))
		sh := newShop(t, n.store, 3)
		converse(sh, 1, n)
		sh.deliver(n, sh.claim(n, 0))
		sh.setGate(func(g *models.Gate) { g.Failures, g.Step = 8, 8 })
		fresh := func(what string, customer, failures int) {
			t.Helper()
			if done, _ := sh.deliver(n, sh.claim(n, customer)); !done.Paused || done.Stale != 0 {
				t.Errorf("%s: %+v", what, done)
			}
			g := sh.gate()
			if g.Since != clock.Time() || g.Failures != failures || g.Step != 1 || g.PausedUntil > clock.Time().Add(limits.DeliveryBackoff) {
				t.Errorf("%s: %+v", what, g)
			}
		}
		clock.Advance(2 * time.Hour)
		fresh("after silence", 1, 9)

		admin := services.WithScope(t.Context(), &services.Scope{
			Viewer: &auth.Viewer{Role: auth.RoleAdmin, Account: sh.account.Key.String(), Subject: "admin"}, Account: sh.account,
		})
		if _, err := n.CloseAccount(admin, true); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute) // too short for a silence
		sh.setGate(func(g *models.Gate) { g.Since, g.Step = models.At(testkit.Start), 8 })
		if _, err := n.AcceptTerms(admin, "v2"); err != nil {
			t.Fatal(err)
		}
		fresh("after it was closed", 2, 10)
	})
}

// Ensure what a runner does with a channel that stays away: all that waited too long FAILED, and
// nothing waits for ever.
func TestChannelStaysAway(t *testing.T) {
	clock := testkit.NewClock()
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return errAway }))
	sh := newShop(t, n.store, 50)
	sent := converse(sh, 2, n)
	n.run(t, 8)
	await(t, "nothing waits", func() bool {
		clock.Advance(time.Second)
		return sh.waiting() == 0
	})
	for i, messages := range sent {
		for _, m := range messages {
			if got := sh.status(m); got != "FAILED CHANNEL_UNAVAILABLE" {
				t.Errorf("customer %d: %s", i, got)
			}
		}
		if sh.left(i) != limits.ReplyMessages {
			t.Errorf("customer %d has %d left", i, sh.left(i))
		}
	}
}

// Ensure the channel is tried while messages that waited too long become FAILED: one that comes back
// in the middle takes what is new and what is left.
func TestBackWhileStaleFail(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const queues, failed = 20, 5
		clock := testkit.NewClock()
		var back atomic.Bool
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
			if back.Load() {
				return nil
			}
			return errAway
		}))
		sh := newShop(t, n.store, queues+1)
		for i := range queues {
			sh.send(n, i)
		}
		away := clock.Time()
		clock.Advance(limits.DeliveryWait)
		sh.setGate(func(g *models.Gate) { g.Failures, g.Since, g.PausedUntil = 9, away, clock.Time() })
		var count atomic.Int64
		middle, goOn := make(chan bool, 1), make(chan struct{})
		n.store.OnCommit(func(events []models.Event) {
			for _, e := range events {
				if e.Primed != nil && e.Primed.Message != nil && e.Primed.Message.Status == models.StatusFailed && count.Add(1) == failed {
					middle <- true
					<-goOn
				}
			}
		})
		resume := sync.OnceFunc(func() { close(goOn) })
		n.run(t, 4)
		t.Cleanup(resume) // before the runner is waited for
		testkit.Receive(t, middle)
		back.Store(true)
		fresh := sh.send(n, queues)
		clock.Advance(limits.DeliveryBackoffMax)
		await(t, "the fresh one left", func() bool { return sh.status(fresh) == "SENT" })
		resume()
		await(t, "nothing waits", func() bool { return sh.waiting() == 0 })
		if f, s := sh.count("SELECT COUNT(*) FROM message WHERE status = 'FAILED'"), sh.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'"); f != failed || s != queues+1-failed {
			t.Errorf("%d FAILED, %d SENT", f, s)
		}
	})
}

// Ensure a queue whose messages cannot be settled keeps no other waiting.
func TestStaleQueueThatErrs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return errAway }))
		sh := newShop(t, n.store, 4)
		converse(sh, 1, n)
		sh.deliver(n, sh.claim(n, 3))
		first := slices.MinFunc(sh.customers, func(a, b models.Key) int { return bytes.Compare(a[:], b[:]) })
		sh.exec("DELETE FROM customer WHERE id = ?", first[:])
		failed, err := n.FailStale(t.Context(), sh.account.Key, clock.Time())
		if failed != 3 || err == nil {
			t.Errorf("%d FAILED, %v", failed, err)
		}
		if n := sh.waiting(); n != 1 {
			t.Errorf("%d wait", n)
		}
	})
}

// Ensure an account whose calls stall has its share of the workers and no more, and that all
// messages of another leave meanwhile; and that its own leave once its channel is back.
func TestStalledAccountDelaysNoOther(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		release := make(chan struct{})
		var stalled models.Key
		var now, most, calls atomic.Int64
		ch := sending(func(ctx context.Context, a *models.Account, _ models.Ident, _ *models.Message) error {
			if a.Key == stalled && calls.Add(1) > 0 {
				for n := now.Add(1); n > most.Load(); n = now.Load() {
					most.Store(n)
				}
				defer now.Add(-1)
				<-release
			}
			return nil
		})
		n := newNode(t, testkit.Store(t, dsn, clock), ch)
		bad, good := newShop(t, n.store, 200), newShop(t, n.store, 10)
		stalled = bad.account.Key
		converse(bad, 1, n)
		n.run(t, 8)
		await(t, "the calls stall", func() bool { return now.Load() == 4 })
		sent := converse(good, 3, n)
		await(t, "the other account's left", func() bool { return good.waiting() == 0 })
		for _, m := range slices.Concat(sent...) {
			if got := good.status(m); got != "SENT" {
				t.Errorf("it is %s", got)
			}
		}
		if bad.waiting() != 200 || most.Load() != 4 {
			t.Errorf("%d of the stalled account's wait, %d calls at a time", bad.waiting(), most.Load())
		}
		close(release)
		await(t, "its own left", func() bool { return bad.waiting() == 0 })
	})
}

// Ensure accounts whose channels are away have a quarter of the workers, all together, however many
// they are.
func TestTriesShareWorkers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const accounts, workers = 5, 12
		clock := testkit.NewClock()
		release := make(chan struct{})
		bad := map[models.Key]bool{}
		var now, most atomic.Int64
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(_ context.Context, a *models.Account, _ models.Ident, _ *models.Message) error {
			if bad[a.Key] {
				for n := now.Add(1); n > most.Load(); n = now.Load() {
					most.Store(n)
				}
				defer now.Add(-1)
				<-release
			}
			return nil
		}))
		var shops []*shop
		for range accounts {
			sh := newShop(t, n.store, 1)
			sh.send(n, 0)
			sh.setGate(func(g *models.Gate) { g.Failures, g.Since, g.Step, g.PausedUntil = 1, clock.Time(), 1, clock.Time() })
			bad[sh.account.Key] = true
			shops = append(shops, sh)
		}
		good := newShop(t, n.store, 10)
		n.run(t, workers)
		goOn := sync.OnceFunc(func() { close(release) })
		t.Cleanup(goOn) // before the runner is waited for
		await(t, "some try", func() bool { return now.Load() == workers/4 })
		converse(good, 3, n)
		await(t, "the other account's left", func() bool { return good.waiting() == 0 })
		if most.Load() != workers/4 {
			t.Errorf("%d tried at a time", most.Load())
		}
		goOn()
		for _, sh := range shops {
			await(t, "theirs left", func() bool { return sh.waiting() == 0 })
		}
	})
}

// Ensure that after a pause one message at a time tries the channel, on whatever node, until one
// was answered; and that failures of calls that were under way together count once.
func TestHalfOpen(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		var answer atomic.Pointer[error]
		answer.Store(&errAway)
		ch := sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return *answer.Load() })
		first := newNode(t, testkit.Store(t, dsn, clock), ch)
		second := another(t, first, dsn, clock, ch)
		nodes := []*node{first, second}
		sh := newShop(t, first.store, 8)
		converse(sh, 1, first)
		claimAll := func() (got []*services.Claim) {
			claims := make([]*services.Claim, len(sh.customers))
			var wg sync.WaitGroup
			for i := range sh.customers {
				wg.Go(func() {
					var err error
					if claims[i], err = nodes[i%2].Claim(context.Background(), sh.queue(i), models.NewKey()); err != nil {
						t.Errorf("claim: %v", err)
					}
				})
			}
			wg.Wait()
			for _, c := range claims {
				if c != nil {
					got = append(got, c)
				}
			}
			return got
		}
		together := claimAll()
		if len(together) != 8 {
			t.Fatalf("%d of 8 were claimed", len(together))
		}
		for i, c := range together {
			if done, _ := sh.deliver(nodes[i%2], c); done.Paused != (i == 0) {
				t.Errorf("call %d: %+v", i, done)
			}
		}
		if g := sh.gate(); g.Failures != 1 || g.Since != clock.Time() {
			t.Fatalf("calls under way together made %+v", g)
		}
		if c := claimAll(); len(c) != 0 {
			t.Fatalf("%d were claimed in the pause", len(c))
		}
		clock.Advance(limits.DeliveryBackoff)
		try := claimAll()
		if len(try) != 1 {
			t.Fatalf("%d tried at a time", len(try))
		}
		sh.deliver(first, try[0])
		if g := sh.gate(); g.Failures != 2 {
			t.Fatalf("after another failure %+v", g)
		}
		// A worker that dies over its try keeps the others waiting no longer than its lease.
		clock.Advance(2 * limits.DeliveryBackoff)
		if try = claimAll(); len(try) != 1 {
			t.Fatalf("%d tried at a time", len(try))
		}
		clock.Advance(limits.DeliveryLease - time.Microsecond)
		if c := claimAll(); len(c) != 0 {
			t.Fatalf("%d were claimed beside the one that tries", len(c))
		}
		clock.Advance(time.Microsecond)
		if try = claimAll(); len(try) != 1 {
			t.Fatalf("%d tried after one had died", len(try))
		}
		// A refusal is an answer too.
		var refusal error = &services.Refusal{Reason: models.FailedRejected}
		answer.Store(&refusal)
		if done, _ := sh.deliver(second, try[0]); done.Status != models.StatusFailed || done.Paused {
			t.Fatalf("a refusal: %+v", done)
		}
		if g := sh.gate(); !g.IsOpen() {
			t.Errorf("still shut: %+v", g)
		}
		if c := claimAll(); len(c) != 6 { // 8 without the refused one and the one whose worker died
			t.Errorf("%d were claimed through the open gate", len(c))
		}
	})
}

// Ensure all that waits leaves at once when the channel is back, though nobody polls.
func TestOpenGateWakes(t *testing.T) {
	clock := testkit.NewClock()
	var back atomic.Bool
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
		if back.Load() {
			return nil
		}
		return errAway
	}))
	sh := newShop(t, n.store, 6)
	n.runPolling(t, 4, time.Hour)
	sh.send(n, 0)
	await(t, "the gate is shut", func() bool { return !sh.gate().IsOpen() })
	for i := 1; i < 5; i++ {
		sh.send(n, i)
	}
	back.Store(true)
	clock.Advance(limits.DeliveryBackoff)
	sh.send(n, 5) // which wakes the runner to try
	await(t, "all left", func() bool { return sh.waiting() == 0 })
}

// Ensure a call that ran out of time is not made again, and pauses the account.
func TestNoAnswer(t *testing.T) {
	clock := testkit.NewClock()
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
		return context.DeadlineExceeded
	}))
	sh := newShop(t, n.store, 1)
	first, second := sh.send(n, 0), sh.send(n, 0)
	done, next := sh.deliver(n, sh.claim(n, 0))
	if done.Status != models.StatusUnknown || !done.Paused || next != nil {
		t.Errorf("%+v, then %v", done, next)
	}
	if a, b := sh.status(first), sh.status(second); a != "UNKNOWN" || b != "QUEUED" || sh.left(0) != limits.ReplyMessages-2 {
		t.Errorf("%s and %s", a, b)
	}
	clock.Advance(limits.DeliveryBackoff)
	if c := sh.claim(n, 0); c == nil || c.Message.Key != second.Key {
		t.Errorf("claimed %+v", c)
	}
}

// Ensure one message that the channel never takes does not keep the others of its account.
func TestOneThatNeverPasses(t *testing.T) {
	clock := testkit.NewClock()
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(_ context.Context, _ *models.Account, to models.Ident, _ *models.Message) error {
		if to == "customer-0" {
			return errAway
		}
		return nil
	}))
	sh := newShop(t, n.store, 10)
	bad := sh.send(n, 0)
	n.run(t, 4)
	converse(sh, 2, n)
	await(t, "the others left", func() bool {
		clock.Advance(100 * time.Millisecond)
		return sh.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'") == 9*2
	})
	await(t, "it was given up", func() bool {
		clock.Advance(time.Second)
		return sh.status(bad) == "FAILED CHANNEL_UNAVAILABLE"
	})
}

// Ensure messages of a closed account wait without work, those behind a call under way too, and
// leave when it is open again (rule A1).
func TestClosedAccountWaits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
		sh := newShop(t, n.store, 2)
		set := func(c models.Capability) {
			testkit.Write(t, n.store, sh.account.Key, func(tx *store.Tx) error {
				a, err := tx.LockAccount()
				if err != nil {
					return err
				}
				a.Capability = c
				return tx.UpdateAccount(a, "capability")
			})
		}
		m := []*models.Message{sh.send(n, 0), sh.send(n, 0), sh.send(n, 1)}
		claim := sh.claim(n, 0)
		set(models.CapabilityClosed)
		if done, next := sh.deliver(n, claim); done.Status != models.StatusSent || next != nil {
			t.Errorf("under way: %+v, then %v", done, next)
		}
		clock.Advance(time.Hour)
		if c := sh.claim(n, 1); c != nil {
			t.Error("claimed while closed")
		}
		if due, err := n.DueAccounts(t.Context(), nil, 10); err != nil || len(due) != 0 {
			t.Errorf("due %v, %v", due, err)
		}
		if failed, err := n.FailStale(t.Context(), sh.account.Key, clock.Time()); err != nil || failed != 0 {
			t.Errorf("%d FAILED, %v", failed, err)
		}
		set(models.CapabilityOpen)
		n.run(t, 2)
		await(t, "all left", func() bool { return sh.waiting() == 0 })
		for i := range m {
			if got := sh.status(m[i]); got != "SENT" {
				t.Errorf("message %d is %s", i, got)
			}
		}
	})
}
