package services

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure no sweep of one account waits for another's whose rows cannot be written: what is due of it is dealt with, and the
// fault is told.
func TestSweepsPassOverFaults(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		// fault is a statement on a row of this account that fails.
		fault string
		// due makes something due of an account.
		due   func(t *testing.T, s *store.Store, account models.Key)
		sweep func(s *Services, ctx context.Context) error
		// left counts what is still due of an account.
		left string
	}{
		"erasures": {
			"BEFORE UPDATE ON erasure WHEN OLD.account_id",
			func(t *testing.T, s *store.Store, account models.Key) {
				customer := testkit.Customers(t, s, account, 1)[0]
				testkit.Write(t, s, account, func(tx *store.Tx) error {
					_, err := erase(tx, customer, models.ErasureRequested, "", nil)
					return err
				})
			},
			func(s *Services, ctx context.Context) error { _, err := s.SweepErasures(ctx); return err },
			"SELECT COUNT(*) FROM erasure WHERE finished_at = 0 AND account_id = ?",
		},
		"who stopped following": {
			"BEFORE INSERT ON erasure WHEN NEW.account_id",
			func(t *testing.T, s *store.Store, account models.Key) {
				customer := testkit.Customers(t, s, account, 1)
				testkit.Write(t, s, account, func(tx *store.Tx) error {
					rows, _, err := tx.LockCustomers(customer)
					if err != nil {
						return err
					}
					rows[0].UnfollowedAt = tx.Now.Add(-400 * day)
					return tx.UpdateCustomers(rows, "unfollowed_at")
				})
			},
			func(s *Services, ctx context.Context) error { _, err := s.SweepUnfollowed(ctx); return err },
			"SELECT COUNT(*) FROM customer WHERE erased_at = 0 AND account_id = ?",
		},
		"removed tags": {
			"BEFORE DELETE ON tag_option WHEN OLD.account_id",
			func(t *testing.T, s *store.Store, account models.Key) {
				testkit.Write(t, s, account, func(tx *store.Tx) error {
					return tx.InsertTagOption(&models.TagOption{
						AccountID: account, Key: models.NewKey(), TagID: models.NewKey(), Name: "gone", FoldedName: "gone", RemovedAt: tx.Now, CreatedAt: tx.Now, UpdatedAt: tx.Now,
					})
				})
			},
			func(s *Services, ctx context.Context) error { _, err := s.SweepTags(ctx); return err },
			"SELECT COUNT(*) FROM tag_option WHERE account_id = ?",
		},
		"old events": {
			"BEFORE DELETE ON event WHEN OLD.account_id",
			func(t *testing.T, s *store.Store, account models.Key) {
				advisor := testkit.Advisors(t, s, &models.Account{Key: account}, 1)[0]
				testkit.Write(t, s, account, func(tx *store.Tx) error {
					tx.Emit(models.Event{Stream: advisor.Key, Kind: models.EventAdvisorChanged})
					return nil
				})
			},
			func(s *Services, ctx context.Context) error {
				_, err := s.Retain(ctx, func(context.Context) error { return nil })
				return err
			},
			"SELECT COUNT(*) FROM event WHERE account_id = ?",
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testkit.NewClock()
			s := testkit.Store(t, testkit.SQLite(t), clock)
			services := New(Deps{Store: s, Hub: events.New(s.Log(), events.Options{}), Log: slog.New(slog.DiscardHandler)})
			erases := func(a *models.Account) { a.Unfollow, a.EraseDays = models.UnfollowEraseAfter, 30 }
			faulty, other := testkit.Account(t, s, erases).Key, testkit.Account(t, s, erases).Key
			for _, account := range []models.Key{faulty, other} {
				c.due(t, s, account)
			}
			clock.Advance(limits.EventRetention + day)
			db, err := s.SQL()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE TRIGGER planted %s = X'%s' BEGIN SELECT RAISE(ABORT, 'planted'); END", c.fault, faulty)); err != nil {
				t.Fatal(err)
			}
			if err := c.sweep(services, t.Context()); err == nil || !strings.Contains(err.Error(), "planted") {
				t.Errorf("the fault is told as %v", err)
			}
			for account, want := range map[models.Key]int{faulty: 1, other: 0} {
				var left int
				if err := db.QueryRowContext(t.Context(), c.left, account[:]).Scan(&left); err != nil || left != want {
					t.Errorf("%d are left, want %d, %v", left, want, err)
				}
			}
		})
	}
}
