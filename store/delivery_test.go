package store_test

import (
	"context"
	"errors"
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
		first, second := models.NewKey(), models.NewKey()
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			var rows []*models.Delivery
			for _, message := range []models.Key{second, first} {
				rows = append(rows, &models.Delivery{
					AccountID: account.Key, CustomerID: customers[0], MessageID: message, State: models.DeliveryWaiting,
				})
			}
			return tx.Enqueue(rows...)
		})
		if due, err := s.View(t.Context()).DueOutboxes(clock.Time(), 10); err != nil || len(due) != 1 || due[0].CustomerID != customers[0] {
			t.Fatalf("due %+v, %v", due, err)
		}
		if due, err := s.View(t.Context()).DueOutboxes(clock.Time()-1, 10); err != nil || len(due) != 0 {
			t.Errorf("before its time %+v, %v", due, err)
		}
		lease := func(until models.Time) error {
			return s.Write(context.WithoutCancel(t.Context()), store.System(), account.Key, func(tx *store.Tx) error {
				o, err := tx.LeaseOutbox(customers[0])
				if err != nil || o == nil {
					return errors.Join(err, errStop)
				}
				o.LeasedBy, o.LeasedUntil = s.Node(), until
				if head, err := tx.FirstDelivery(customers[0]); err != nil || head.MessageID != first {
					t.Errorf("the head is %+v, %v", head, err)
				}
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
				if waited := time.Since(started); waited > time.Second {
					t.Errorf("who came second waited %s", waited)
				}
				return nil
			})
		}
		if err := lease(clock.Time() + 5); err != nil {
			t.Fatalf("the queue is not free again: %v", err)
		}
		if due, err := s.View(t.Context()).DueOutboxes(clock.Time(), 10); err != nil || len(due) != 0 {
			t.Errorf("due while leased: %+v, %v", due, err)
		}
		if due, err := s.View(t.Context()).DueOutboxes(clock.Time()+5, 10); err != nil || len(due) != 1 || due[0].LeasedBy != s.Node() {
			t.Errorf("due when the lease has run out: %+v, %v", due, err)
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
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			if _, err := tx.LockApp(keys[0], s.Node()); err != nil {
				return err
			}
			return tx.CloseApp(keys[0], s.Node())
		})
		if n := mustCount(t, s, "app_lease"); n != 1 {
			t.Errorf("%d leases are left", n)
		}
	})
}
