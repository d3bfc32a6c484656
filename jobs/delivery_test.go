package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/channels/sandbox"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

var errAway = fmt.Errorf("nobody there: %w", services.ErrNotSent)

// outside is the sandbox channel with another process as the platform.
func outside(sb *testkit.Sandbox, settings sandbox.Settings) *sandbox.Channel {
	ch := sandbox.New()
	ch.Reach(sb.URL)
	ch.Use(settings)
	return ch
}

// accepting is how a simulated platform behaves that nobody told otherwise.
type accepting struct{}

func (accepting) SandboxSending(context.Context, models.Key) (models.SandboxSending, error) {
	return models.SandboxAccept, nil
}

// mustBeInOrder holds what the platform took to what was sent, customer by customer: each message
// once and in order.
func mustBeInOrder(t *testing.T, taken []testkit.Taken, sent [][]*models.Message) {
	t.Helper()
	got := map[string][]string{}
	for _, line := range taken {
		got[line.OpenID] = append(got[line.OpenID], line.MessageID)
	}
	for i, messages := range sent {
		var want []string
		for _, m := range messages {
			want = append(want, m.ID().String())
		}
		if openid := fmt.Sprintf("customer-%d", i); !slices.Equal(got[openid], want) {
			t.Errorf("%s got\n%v\nwas sent\n%v", openid, got[openid], want)
		}
	}
}

// converse has the advisor write n messages to each customer, all customers at a time and by the
// nodes in turn, and answers what was written.
func converse(sh *shop, n int, nodes ...*node) [][]*models.Message {
	sh.tb.Helper()
	sent := make([][]*models.Message, len(sh.customers))
	var wg sync.WaitGroup
	for i := range sh.customers {
		wg.Go(func() {
			for turn := range n {
				m, err := sh.trySend(nodes[(i+turn)%len(nodes)], i)
				if err != nil {
					sh.tb.Errorf("send: %v", err)
					return
				}
				sent[i] = append(sent[i], m)
			}
		})
	}
	wg.Wait()
	return sent
}

// Ensure that, however many workers and nodes empty the queues while they fill, each message
// reaches the platform once, and each customer gets theirs in order.
func TestOrderUnderManyWorkers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		sb := testkit.StartSandbox(t, filepath.Join(t.TempDir(), "taken"), "-max-delay", "10ms", "-seed", "7")
		first := newNode(t, testkit.Store(t, dsn, clock), outside(sb, accepting{}))
		second := another(t, first, dsn, clock, outside(sb, accepting{}))
		sh := newShop(t, first.store, 20)
		first.run(t, 16)
		second.run(t, 16)
		sent := converse(sh, 8, first, second)
		await(t, "all messages left", func() bool { return sh.waiting() == 0 })
		mustBeInOrder(t, sb.Lines(t), sent)
		if n := sh.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'"); n != 20*8 {
			t.Errorf("%d messages are SENT", n)
		}
		await(t, "the queues were removed", func() bool { return sh.count("SELECT COUNT(*) FROM outbox") == 0 })
	})
}

// Ensure messages that a platform would not take now come to it later, once and in order.
func TestTransientFaults(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		sb := testkit.StartSandbox(t, filepath.Join(t.TempDir(), "taken"), "-max-delay", "2ms", "-unavailable", "0.2", "-seed", "3")
		first := newNode(t, testkit.Store(t, dsn, clock), outside(sb, accepting{}))
		second := another(t, first, dsn, clock, outside(sb, accepting{}))
		sh := newShop(t, first.store, 8)
		first.run(t, 8)
		second.run(t, 8)
		sent := converse(sh, 5, first, second)
		faults := false
		await(t, "all messages left", func() bool {
			faults = faults || !sh.gate().IsOpen()
			clock.Advance(100 * time.Millisecond)
			return sh.waiting() == 0
		})
		mustBeInOrder(t, sb.Lines(t), sent)
		if n := sh.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'"); n != 8*5 || !faults {
			t.Errorf("%d messages are SENT; met a fault: %t", n, faults)
		}
	})
}

// Ensure a message whose worker dies between the platform's answer and the commit becomes UNKNOWN
// and never reaches the platform again, that those behind it leave, and that the worker, should it
// come back, changes nothing.
func TestDiesBeforeCommit(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		sb := testkit.StartSandbox(t, filepath.Join(t.TempDir(), "taken"))
		answered, comeBack := make(chan struct{}), make(chan struct{})
		real := outside(sb, accepting{})
		dying := newNode(t, testkit.Store(t, dsn, clock), sending(func(ctx context.Context, a *models.Account, to models.Ident, m *models.Message) error {
			err := real.Send(ctx, a, to, m)
			close(answered)
			<-comeBack
			return err
		}))
		alive := another(t, dying, dsn, clock, real)
		sh := newShop(t, dying.store, 1)
		sent := [][]*models.Message{{sh.send(dying, 0), sh.send(dying, 0), sh.send(dying, 0)}}
		claim := sh.claim(dying, 0)
		var lost services.Handover
		var next *services.Claim
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			var err error
			if lost, next, err = dying.Deliver(context.Background(), claim); err != nil {
				t.Errorf("the dead worker: %v", err)
			}
		}()
		testkit.Receive(t, closed(answered))
		if c := sh.claim(alive, 0); c != nil {
			t.Fatalf("claimed %v while the lease lasts", c.Message.Key)
		}
		clock.Advance(limits.DeliveryLease - time.Microsecond)
		if c := sh.claim(alive, 0); c != nil {
			t.Fatalf("claimed %v while the lease still lasts", c.Message.Key)
		}
		clock.Advance(time.Microsecond)
		alive.run(t, 4)
		await(t, "the others left", func() bool { return sh.waiting() == 0 })
		for i, want := range []string{"UNKNOWN", "SENT", "SENT"} {
			if got := sh.status(sent[0][i]); got != want {
				t.Errorf("message %d is %s, want %s", i, got, want)
			}
		}
		close(comeBack)
		<-ended
		if lost.Status != "" || next != nil || sh.status(sent[0][0]) != "UNKNOWN" {
			t.Errorf("the dead worker settled %+v, the message is %s", lost, sh.status(sent[0][0]))
		}
		mustBeInOrder(t, sb.Lines(t), sent)
		if n := sh.left(0); n != limits.ReplyMessages-3 {
			t.Errorf("%d replies are left", n)
		}
	})
}

func closed(ch <-chan struct{}) <-chan bool {
	told := make(chan bool, 1)
	go func() {
		<-ch
		told <- true
	}()
	return told
}

// Ensure a worker that comes back settles its own attempt alone, also when the same message was
// resent and is another worker's now.
func TestComesBackToResentMessage(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		comeBack, asked := make(chan struct{}), make(chan struct{})
		slow := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
			close(asked)
			<-comeBack
			return &services.Refusal{Reason: models.FailedRejected}
		}))
		other := another(t, slow, dsn, clock, sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
		sh := newShop(t, slow.store, 1)
		m := sh.send(slow, 0)
		claim := sh.claim(slow, 0)
		ended := make(chan services.Handover, 1)
		go func() {
			done, _, err := slow.Deliver(context.Background(), claim)
			if err != nil {
				t.Errorf("deliver: %v", err)
			}
			ended <- done
		}()
		testkit.Receive(t, closed(asked))
		clock.Advance(limits.DeliveryLease)
		if c := sh.claim(other, 0); c != nil || sh.status(m) != "UNKNOWN" {
			t.Fatalf("claimed %v; the message is %s", c, sh.status(m))
		}
		// Resent behind a newer message: the older key leaves second.
		newer := sh.send(other, 0)
		testkit.Write(t, sh.store, sh.account.Key, func(tx *store.Tx) error {
			if _, err := tx.LockConversations(sh.customers); err != nil {
				return err
			}
			return tx.Enqueue(&models.Delivery{AccountID: sh.account.Key, CustomerID: m.CustomerID, MessageID: m.Key, State: models.DeliveryWaiting, CreatedAt: tx.Now})
		})
		done, again := sh.deliver(other, sh.claim(other, 0))
		if done.Status != models.StatusSent || sh.status(newer) != "SENT" || again == nil || again.Message.Key != m.Key || again.Attempts != claim.Attempts {
			t.Fatalf("%+v, then %+v", done, again)
		}
		close(comeBack)
		if done := testkit.Receive(t, ended); done.Status != "" {
			t.Errorf("the first worker settled the second's attempt: %+v", done)
		}
		if done, next := sh.deliver(other, again); done.Status != models.StatusSent || next != nil {
			t.Errorf("%+v, then %+v", done, next)
		}
		if got := sh.status(m); got != "SENT" {
			t.Errorf("the message is %s", got)
		}
	})
}

// Ensure a worker that stood still too long does not call the channel: its lease might end
// meanwhile. That is no attempt.
func TestTooLateToHandOver(t *testing.T) {
	clock := testkit.NewClock()
	calls := 0
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
		calls++
		return nil
	}))
	sh := newShop(t, n.store, 1)
	m := sh.send(n, 0)
	const inTime = limits.DeliveryLease - limits.ChannelTime - limits.OperationTime - limits.ClockSkew
	if inTime < limits.OperationTime {
		t.Fatalf("a claim may take %s, and %s are left", limits.OperationTime, inTime)
	}
	claim := sh.claim(n, 0)
	clock.Advance(inTime + time.Microsecond)
	done, claim := sh.deliver(n, claim)
	if done.Status != models.StatusQueued || done.Paused || calls != 0 || sh.status(m) != "QUEUED" {
		t.Errorf("%+v after %d calls", done, calls)
	}
	if claim == nil || claim.Message.Key != m.Key || claim.Attempts != 1 || claim.At != clock.Time() {
		t.Fatalf("not claimed anew: %+v", claim)
	}
	clock.Advance(inTime)
	if done, _ := sh.deliver(n, claim); done.Status != models.StatusSent || calls != 1 {
		t.Errorf("in time: %+v after %d calls", done, calls)
	}
}

// Ensure a message is handed to a channel that cannot be reached limits.DeliveryAttempts times and
// no more, with growing pauses, and gives its slot back.
func TestAttemptsAreExhausted(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return errAway }))
		sh := newShop(t, n.store, 1)
		m := sh.send(n, 0)
		whole := limits.DeliveryBackoff
		for attempt := 1; attempt < limits.DeliveryAttempts; attempt++ {
			done, next := sh.deliver(n, sh.claim(n, 0))
			if done.Status != models.StatusQueued || !done.Paused || next != nil || sh.status(m) != "QUEUED" {
				t.Fatalf("attempt %d: %+v, then %v", attempt, done, next)
			}
			g := sh.gate()
			if pause := g.PausedUntil.Sub(clock.Time()); g.Failures != attempt || pause < whole/2 || pause > whole {
				t.Errorf("after attempt %d: %+v, a pause of %s", attempt, g, pause)
			}
			if c := sh.claim(n, 0); c != nil {
				t.Fatalf("claimed during the pause after attempt %d", attempt)
			}
			clock.Advance(whole)
			whole = min(2*whole, limits.DeliveryBackoffMax)
		}
		if done, _ := sh.deliver(n, sh.claim(n, 0)); done.Status != models.StatusFailed {
			t.Errorf("the last attempt: %+v", done)
		}
		if got := sh.status(m); got != "FAILED CHANNEL_UNAVAILABLE" || sh.left(0) != limits.ReplyMessages {
			t.Errorf("%s, %d left", got, sh.left(0))
		}
		if sh.waiting() != 0 || sh.count("SELECT COUNT(*) FROM outbox") != 0 {
			t.Error("the queue is not gone")
		}
	})
}

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
		if done, _ := sh.deliver(n, sh.claim(n, 1)); !done.Paused || done.Stale != 0 {
			t.Fatalf("before its time: %+v", done)
		}
		clock.Set(testkit.Start.Add(limits.DeliveryWait))
		// The attempt before paused the account; nobody has to wait for it in this test.
		testkit.Write(t, n.store, sh.account.Key, func(tx *store.Tx) error {
			g, err := tx.LockGate()
			if err != nil {
				return err
			}
			g.PausedUntil = tx.Now
			return tx.UpdateGate(g)
		})
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

// Ensure a stop hands over and records what was claimed, and claims no more.
func TestStopFinishes(t *testing.T) {
	clock := testkit.NewClock()
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(ctx context.Context, _ *models.Account, _ models.Ident, _ *models.Message) error {
		return ctx.Err()
	}))
	sh := newShop(t, n.store, 1)
	first, second := sh.send(n, 0), sh.send(n, 0)
	claim := sh.claim(n, 0)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if done, next, err := n.Deliver(ctx, claim); err != nil || done.Status != models.StatusSent || next != nil {
		t.Errorf("%+v, then %v, %v", done, next, err)
	}
	if a, b := sh.status(first), sh.status(second); a != "SENT" || b != "QUEUED" {
		t.Errorf("%s and %s", a, b)
	}
	// Another node takes over at once.
	if c := sh.claim(n, 0); c == nil || c.Message.Key != second.Key {
		t.Errorf("claimed %+v", c)
	}
}

// Ensure a runner that is stopped in the middle of its calls leaves no claim behind.
func TestRunnerStops(t *testing.T) {
	asked, release := make(chan struct{}, 99), make(chan struct{})
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), testkit.NewClock()), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
		asked <- struct{}{}
		<-release
		return nil
	}))
	sh := newShop(t, n.store, 8)
	converse(sh, 3, n)
	stop := n.run(t, 4)
	testkit.Receive(t, asked)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	close(release)
	testkit.Receive(t, closed(stopped))
	if n := sh.count("SELECT COUNT(*) FROM delivery WHERE state = 'CLAIMED'"); n != 0 {
		t.Errorf("%d claims were left", n)
	}
	if n := sh.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'"); n == 0 || n+sh.waiting() != 8*3 {
		t.Errorf("%d SENT, %d wait", n, sh.waiting())
	}
}

// Ensure the number of statements: a claim, a hand-over with the next claim, and the last one,
// the same at any length of the queue; and two for whatever is due.
func TestStatements(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		n := newNode(t, testkit.Store(t, dsn, clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
		sh := newShop(t, n.store, 2)
		for range 10 {
			sh.send(n, 0)
		}
		sh.send(n, 1)
		counted := func(do func(ctx context.Context)) int64 {
			var statements atomic.Int64
			do(store.CountStatements(t.Context(), &statements))
			return statements.Load()
		}
		for i, length := range []int{10, 1} {
			var claim *services.Claim
			var err error
			if got := counted(func(ctx context.Context) { claim, err = n.Claim(ctx, sh.queue(i), models.NewKey()) }); got != 8 || err != nil || claim == nil {
				t.Errorf("a claim took %d statements, %v", got, err)
			}
			for left := length; claim != nil; {
				left--
				want := int64(15) // of which 7 settle, 4 claim the next
				if left == 0 {
					want = 13
				}
				if got := counted(func(ctx context.Context) { _, claim, err = n.Deliver(ctx, claim) }); got != want || err != nil {
					t.Errorf("with %d left a hand-over took %d statements, want %d, %v", left, got, want, err)
				}
			}
		}
	})
}

// Ensure errors of the database leave the message to be settled when its lease ends.
func TestNotRecorded(t *testing.T) {
	clock := testkit.NewClock()
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
	sh := newShop(t, n.store, 1)
	m := sh.send(n, 0)
	claim := sh.claim(n, 0)
	db, err := n.store.SQL()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE message RENAME TO gone")
	if _, next, err := n.Deliver(t.Context(), claim); err == nil || next != nil || errors.Is(err, services.ErrNotSent) {
		t.Errorf("recorded without a table: %v, %v", next, err)
	}
	exec("ALTER TABLE gone RENAME TO message")
	if got := sh.status(m); got != "QUEUED" {
		t.Errorf("it is %s", got)
	}
	clock.Advance(limits.DeliveryLease)
	if c := sh.claim(n, 0); c != nil || sh.status(m) != "UNKNOWN" {
		t.Errorf("claimed %v; the message is %s", c, sh.status(m))
	}
}
