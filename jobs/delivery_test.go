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
		outer := outside(sb, accepting{})
		dying := newNode(t, testkit.Store(t, dsn, clock), sending(func(ctx context.Context, a *models.Account, to models.Ident, m *models.Message) error {
			err := outer.Send(ctx, a, to, m)
			close(answered)
			<-comeBack
			return err
		}))
		alive := another(t, dying, dsn, clock, outer)
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
	const inTime = limits.DeliveryLease - limits.ChannelTime - 3*limits.ChannelRecordTime - limits.OperationTime - limits.ClockSkew
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
			// The queue waits by itself too: another's turn comes first once the channel is back.
			if due := models.Time(sh.count("SELECT due_at FROM outbox")).Sub(clock.Time()); due < whole/2 || due > whole {
				t.Errorf("after attempt %d the queue is due in %s", attempt, due)
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
			if got := counted(func(ctx context.Context) { claim, err = n.Claim(ctx, sh.queue(i), models.NewKey()) }); got != 7 || err != nil || claim == nil {
				t.Errorf("a claim took %d statements, %v", got, err)
			}
			for left := length; claim != nil; {
				left--
				want := int64(15) // of which 8 settle, 4 claim the next
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

// breakMessages makes the database refuse to record what becomes of messages, until mend is called.
func (sh *shop) breakMessages() (mend func()) {
	sh.tb.Helper()
	sh.exec("ALTER TABLE message RENAME TO gone")
	return func() { sh.exec("ALTER TABLE gone RENAME TO message") }
}

// Ensure what the channel answered is recorded once the database is back.
func TestRecordedLater(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		var answer error
		n := newNode(t, testkit.Store(t, dsn, testkit.NewClock()), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return answer }))
		for _, tt := range []struct {
			answer error
			want   string
		}{
			{nil, "SENT"},
			{&services.Refusal{Reason: models.FailedRejected}, "FAILED REJECTED"},
			{errAway, "QUEUED"},
			{context.DeadlineExceeded, "UNKNOWN"},
		} {
			answer = tt.answer
			sh := newShop(t, n.store, 1)
			sh.send(n, 0)
			claim := sh.claim(n, 0)
			mend := sh.breakMessages()
			var statements atomic.Int64
			ended := make(chan error, 1)
			go func() {
				_, _, err := n.Deliver(store.CountStatements(context.Background(), &statements), claim)
				ended <- err
			}()
			await(t, "it was tried twice", func() bool { return statements.Load() > 7 })
			mend()
			if err := testkit.Receive(t, ended); err != nil || sh.status(claim.Message) != tt.want {
				t.Errorf("%v; the message is %s, want %s", err, sh.status(claim.Message), tt.want)
			}
		}
	})
}

// Ensure errors of the database that last leave the message to be settled when its lease ends.
func TestNotRecorded(t *testing.T) {
	clock := testkit.NewClock()
	n := newNode(t, testkit.Store(t, testkit.SQLite(t), clock), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
	sh := newShop(t, n.store, 1)
	sh.send(n, 0)
	claim := sh.claim(n, 0)
	mend := sh.breakMessages()
	clock.Advance(limits.DeliveryLease - limits.ChannelTime - limits.OperationTime - limits.ClockSkew)
	var statements atomic.Int64
	ended := make(chan error, 1)
	go func() {
		_, next, err := n.Deliver(store.CountStatements(context.Background(), &statements), claim)
		if next != nil || errors.Is(err, services.ErrNotSent) {
			t.Errorf("claimed %v, %v", next, err)
		}
		ended <- err
	}()
	await(t, "it was tried twice", func() bool { return statements.Load() > 7 })
	clock.Advance(limits.ChannelTime + limits.OperationTime)
	if err := testkit.Receive(t, ended); err == nil {
		t.Error("recorded without a table")
	}
	mend()
	if got := sh.status(claim.Message); got != "QUEUED" {
		t.Errorf("it is %s", got)
	}
	clock.Advance(limits.ClockSkew)
	if c := sh.claim(n, 0); c != nil || sh.status(claim.Message) != "UNKNOWN" {
		t.Errorf("claimed %v; the message is %s", c, sh.status(claim.Message))
	}
}

// Ensure a message that was erased while the channel had it does not come back, and the next leaves.
func TestErasedMeanwhile(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		n := newNode(t, testkit.Store(t, dsn, testkit.NewClock()), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
		sh := newShop(t, n.store, 1)
		first, second := sh.send(n, 0), sh.send(n, 0)
		claim := sh.claim(n, 0)
		sh.exec("DELETE FROM message WHERE id = ?", first.Key[:])
		done, next := sh.deliver(n, claim)
		if done.Status != "" || next == nil || next.Message.Key != second.Key {
			t.Errorf("%+v, then %+v", done, next)
		}
		if n := sh.count("SELECT COUNT(*) FROM message WHERE id = ?", first.Key[:]); n != 0 || sh.waiting() != 1 {
			t.Errorf("%d erased messages, %d wait", n, sh.waiting())
		}
	})
}

// Ensure a message leaves at once though a worker has just found its queue empty: its sender wakes
// the runner, and nobody polls.
func TestQueuedAfterEmpty(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		n := newNode(t, testkit.Store(t, dsn, testkit.NewClock()), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error { return nil }))
		sh := newShop(t, n.store, 1)
		testkit.Write(t, n.store, sh.account.Key, func(tx *store.Tx) error {
			return tx.UpdateOutbox(&models.Outbox{AccountID: tx.Account, CustomerID: sh.customers[0], DueAt: tx.Now})
		})
		n.runPolling(t, 4, time.Hour)
		await(t, "the queue was found empty", func() bool { return sh.count("SELECT COUNT(*) FROM outbox") == 0 })
		m := sh.send(n, 0)
		await(t, "it left", func() bool { return sh.status(m) == "SENT" })
	})
}

// Ensure a duplicate that is not the idempotency key's is a fault, not a message.
func TestDuplicateOfAnother(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		n := newNode(t, testkit.Store(t, dsn, testkit.NewClock()), sending(func(context.Context, *models.Account, models.Ident, *models.Message) error {
			return &services.Refusal{Reason: models.FailedRejected}
		}))
		sh := newShop(t, n.store, 1)
		m := sh.send(n, 0)
		sh.deliver(n, sh.claim(n, 0))
		testkit.Write(t, n.store, sh.account.Key, func(tx *store.Tx) error {
			return tx.Enqueue(&models.Delivery{AccountID: tx.Account, CustomerID: m.CustomerID, MessageID: m.Key, State: models.DeliveryWaiting, CreatedAt: tx.Now})
		})
		again, err := n.Resend(sh.asAdvisor(), m.Key, "again")
		if again != nil || models.CodeOf(err) != models.CodeUnavailable {
			t.Errorf("%v, %v", again, err)
		}
	})
}
