package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure a queue has one holder: who comes second passes by at once, and finds it when the first
// is done.
func TestLeaseOutbox(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := testkit.Account(t, s)
		customers := testkit.Customers(t, s, account.Key, 2)
		queue(t, s, account.Key, customers[0], models.NewKey(), models.NewKey())
		due := func(now models.Time) []*models.Outbox {
			rows, err := s.View(t.Context()).DueOutboxes(now, []models.Demand{{Account: account.Key, Most: 10}})
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		if rows := due(clock.Time()); len(rows) != 1 || rows[0].CustomerID != customers[0] {
			t.Fatalf("due %+v", rows)
		}
		if rows := due(clock.Time() - 1); len(rows) != 0 {
			t.Errorf("before its time %+v", rows)
		}
		lease := func(until models.Time) error {
			return s.Write(context.WithoutCancel(t.Context()), store.System(), account.Key, func(tx *store.Tx) error {
				o, err := tx.LeaseOutbox(customers[0])
				if err != nil || o == nil {
					return errors.Join(err, errStop)
				}
				o.Lease(s.Node(), until)
				return tx.UpdateOutbox(o)
			})
		}
		if !s.IsEmbedded() { // SQLite has one writer at a time: nobody comes second.
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				if o, err := tx.LeaseOutbox(customers[0]); err != nil || o == nil {
					t.Errorf("lease %+v, %v", o, err)
				}
				started := time.Now()
				if err := lease(1); !errors.Is(err, errStop) {
					t.Errorf("two hold one queue: %v", err)
				}
				if waited := time.Since(started); waited > limits.LockWait/2 {
					t.Errorf("who came second waited %s", waited)
				}
				return nil
			})
		}
		if err := lease(clock.Time() + 5); err != nil {
			t.Fatalf("the queue is not free again: %v", err)
		}
		if rows := due(clock.Time()); len(rows) != 0 {
			t.Errorf("due while leased: %+v", rows)
		}
		if rows := due(clock.Time() + 5); len(rows) != 1 || rows[0].LeasedBy != s.Node() {
			t.Errorf("due when the lease has run out: %+v", rows)
		}
		// The release before this one leaves due_at as it was.
		mustExec(t, s, "UPDATE outbox SET due_at = 1")
		if rows := due(clock.Time()); len(rows) != 0 {
			t.Errorf("due while leased by the release before: %+v", rows)
		}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			if o, err := tx.LeaseOutbox(customers[1]); err != nil || o != nil {
				t.Errorf("a queue that is not there: %+v, %v", o, err)
			}
			if _, err := tx.LeaseOutbox(customers[0]); err != nil {
				return err
			}
			for range 2 {
				head, err := tx.FirstDelivery(customers[0])
				if err != nil {
					return err
				}
				head.State, head.Attempts = models.DeliveryClaimed, head.Attempts+1
				if err := errors.Join(tx.UpdateDelivery(head), tx.DeleteDelivery(head)); err != nil {
					return err
				}
			}
			if _, err := tx.FirstDelivery(customers[0]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the head of an empty queue: %v", err)
			}
			return tx.DeleteOutbox(customers[0])
		})
		if n := mustCount(t, s, "outbox") + mustCount(t, s, "delivery"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// queue puts messages into a customer's queue, in one transaction.
func queue(tb testing.TB, s *store.Store, account, customer models.Key, messages ...models.Key) {
	tb.Helper()
	testkit.Write(tb, s, account, func(tx *store.Tx) error {
		rows := make([]*models.Delivery, len(messages))
		for i, m := range messages {
			rows[i] = &models.Delivery{AccountID: account, CustomerID: customer, MessageID: m, State: models.DeliveryWaiting, CreatedAt: tx.Now}
		}
		return tx.Enqueue(rows...)
	})
}

// Ensure a queue is emptied in the order in which it was filled, whatever the messages' own keys
// are and whichever clock queued them, and that what the release before this one queued stands
// where its messages do.
func TestQueueOrder(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		customer := testkit.Customers(t, s, account.Key, 1)[0]
		old, a, b, c := models.NewKey(), models.NewKey(), models.NewKey(), models.NewKey()
		queue(t, s, account.Key, customer, a)
		// The columns that the release before this one knows.
		mustExec(t, s, "INSERT INTO delivery (account_id, customer_id, message_id, state, attempts, created_at) VALUES (?, ?, ?, 'WAITING', 0, 1)",
			account.Key, customer, b)
		// A node whose clock runs ahead put its message far behind; what comes later stands behind that.
		mustExec(t, s, "UPDATE delivery SET message_id = ? WHERE message_id = ?", ahead(b), b)
		queue(t, s, account.Key, customer, c, old)
		var got []models.Key
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			if _, err := tx.LeaseOutbox(customer); err != nil {
				return err
			}
			for {
				d, err := tx.FirstDelivery(customer)
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				if err != nil {
					return err
				}
				if again, err := tx.Delivery(customer, d.MessageID); err != nil || *again != *d {
					t.Errorf("read by its message %+v, %v; want %+v", again, err, d)
				}
				got = append(got, d.MessageID)
				if err := tx.DeleteDelivery(d); err != nil {
					return err
				}
			}
		})
		if want := []models.Key{a, ahead(b), c, old}; !slices.Equal(got, want) {
			t.Errorf("left in the order %v, want %v", got, want)
		}
	})
}

// ahead is a key that a clock an hour ahead would have made.
func ahead(k models.Key) models.Key {
	if k[3]++; k[3] == 0 { // 2^24 milliseconds
		k[2]++
	}
	return k
}

// Ensure a message is in its queue once.
func TestQueuedTwice(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		customer := testkit.Customers(t, s, account.Key, 1)[0]
		message := models.NewKey()
		queue(t, s, account.Key, customer, message)
		err := s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
			return tx.Enqueue(&models.Delivery{AccountID: account.Key, CustomerID: customer, MessageID: message, State: models.DeliveryWaiting})
		})
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("queued again: %v", err)
		}
		if n := mustCount(t, s, "delivery"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// Ensure the accounts with work are found, and only they: not one that is closed, nor one whose
// gate is shut, nor who was named as busy.
func TestDueAccounts(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		accounts := map[string]models.Key{}
		for _, name := range []string{"first", "second", "closed", "shut", "trying", "none"} {
			a := testkit.Account(t, s, func(a *models.Account) {
				if name == "closed" {
					a.Capability = models.CapabilityClosed
				}
			})
			accounts[name] = a.Key
			if name != "none" {
				for _, c := range testkit.Customers(t, s, a.Key, 3) {
					queue(t, s, a.Key, c, models.NewKey())
					clock.Advance(time.Second)
				}
			}
		}
		until := map[string]models.Time{"shut": clock.Time() + 1, "trying": clock.Time()}
		for name, pausedUntil := range until {
			testkit.Write(t, s, accounts[name], func(tx *store.Tx) error {
				if err := tx.MakeGate(); err != nil {
					return err
				}
				g, err := tx.LockGate()
				if err != nil || !g.IsOpen() {
					t.Errorf("a new gate %+v, %v", g, err)
				}
				g.Failures, g.Since, g.PausedUntil = 3, 1, pausedUntil
				return tx.UpdateGate(g)
			})
		}
		names := func(except []models.Key, most int) (got []string) {
			rows, err := s.View(t.Context()).DueAccounts(clock.Time(), except, most)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				for name, key := range accounts {
					if key == r.AccountID {
						got = append(got, name)
						if want := map[string]int{"trying": 3}[name]; r.Failures != want {
							t.Errorf("%s has %d failures, want %d", name, r.Failures, want)
						}
					}
				}
			}
			return got
		}
		if got, want := names(nil, 10), []string{"first", "second", "trying"}; !slices.Equal(got, want) {
			t.Errorf("due %v, want %v", got, want)
		}
		if got, want := names([]models.Key{accounts["first"]}, 1), []string{"second"}; !slices.Equal(got, want) {
			t.Errorf("without the first and at most one %v, want %v", got, want)
		}
		rows, err := s.View(t.Context()).DueOutboxes(clock.Time(), []models.Demand{
			{Account: accounts["second"], Most: 2}, {Account: accounts["none"], Most: 2}, {Account: accounts["first"], Most: 1},
		})
		var of []models.Key
		for i, r := range rows {
			of = append(of, r.AccountID)
			if i == 1 && r.DueAt <= rows[0].DueAt {
				t.Error("the longest waiting is not the first")
			}
		}
		if err != nil || !slices.Equal(of, []models.Key{accounts["second"], accounts["second"], accounts["first"]}) {
			t.Errorf("queues of %v, %v", of, err)
		}
		testkit.Write(t, s, accounts["trying"], func(tx *store.Tx) error {
			if err := tx.OpenGate(2); err != nil {
				return err
			}
			if a, g, err := tx.Outbound(); err != nil || g.Failures != 3 || a.Key != accounts["trying"] || a.TimeZone == "" {
				t.Errorf("opened by who had seen less: %+v, %+v, %v", a, g, err)
			}
			if err := tx.OpenGate(3); err != nil {
				return err
			}
			if _, g, err := tx.Outbound(); err != nil || !g.IsOpen() || g.Since != 0 {
				t.Errorf("not opened: %+v, %v", g, err)
			}
			return nil
		})
	})
}

// Ensure 10,000 due queues of an account whose channel is away hide nothing of another's: each is
// found by its place in the index.
func TestDueBehindMany(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	away, other := testkit.Account(t, s), testkit.Account(t, s)
	const many = 10_000
	var values []string
	for i := range many {
		values = append(values, fmt.Sprintf("(?, UNHEX(MD5(%d)), 1)", i))
	}
	for chunk := range slices.Chunk(values, 1_000) {
		args := make([]any, len(chunk))
		for i := range args {
			args[i] = away.Key
		}
		mustExec(t, s, "INSERT INTO outbox (account_id, customer_id, due_at) VALUES "+strings.Join(chunk, ","), args...)
	}
	customer := testkit.Customers(t, s, other.Key, 1)[0]
	queue(t, s, other.Key, customer, models.NewKey())
	mustExec(t, s, "INSERT INTO outbound_gate (account_id, failures, paused_until) VALUES (?, 1, ?)", away.Key, s.Now()+1)
	var discard string
	if err := mustSQL(t, s).QueryRowContext(t.Context(), "ANALYZE TABLE outbox").Scan(&discard, &discard, &discard, &discard); err != nil {
		t.Fatal(err)
	}
	read, err := s.RowsRead(t.Context(), func(ctx context.Context) {
		accounts, err := s.View(ctx).DueAccounts(s.Now(), nil, 10)
		if err != nil || len(accounts) != 1 || accounts[0].AccountID != other.Key {
			t.Fatalf("due %+v, %v", accounts, err)
		}
		queues, err := s.View(ctx).DueOutboxes(s.Now(), []models.Demand{{Account: other.Key, Most: 10}, {Account: away.Key, Most: 1}})
		if err != nil || len(queues) != 2 || queues[0].CustomerID != customer || queues[1].AccountID != away.Key {
			t.Fatalf("queues %+v, %v", queues, err)
		}
	})
	if err != nil || read == 0 || read > many/50 {
		t.Errorf("%d rows were read, %v", read, err)
	}
}

func leases(tx *store.Tx, s *store.Store, advisors []models.Key) []*models.AppLease {
	var rows []*models.AppLease
	for _, a := range advisors {
		rows = append(rows, &models.AppLease{
			AccountID: tx.Account, AdvisorID: a, NodeID: s.Node(), RenewedAt: tx.Now, ExpiresAt: tx.Now.Add(limits.AppLease),
		})
	}
	return rows
}

// Ensure leases of open apps are kept, seen, found when they lapse, and given up.
func TestAppLeases(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := testkit.Account(t, s)
		keys := keysOf(testkit.Advisors(t, s, account, 3))
		for range 2 {
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.WriteApps(leases(tx, s, keys[:2])) })
			clock.Advance(time.Second)
		}
		open, err := s.View(t.Context()).OpenApps(account.Key, keys, clock.Time())
		if err != nil || len(open) != 2 || open[keys[2]] {
			t.Errorf("open %v, %v", open, err)
		}
		clock.Advance(time.Hour)
		lapsed, err := s.View(t.Context()).LapsedApps(clock.Time(), 10)
		if err != nil || len(lapsed) != 2 || lapsed[0].NodeID != s.Node() {
			t.Errorf("lapsed %+v, %v", lapsed, err)
		}
		// One of the two was renewed after it was found lapsed.
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.WriteApps(leases(tx, s, keys[:1])) })
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.CloseApps(lapsed) })
		if n := mustCount(t, s, "app_lease WHERE advisor_id = x'"+keys[0].String()+"'"); n != 1 || mustCount(t, s, "app_lease") != 1 {
			t.Errorf("%d leases of the one who came back, %d in all", n, mustCount(t, s, "app_lease"))
		}
	})
}
