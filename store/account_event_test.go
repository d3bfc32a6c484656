package store_test

import (
	"slices"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure an account's events get their numbers in the order of their commits, however the clocks of those who wrote them differ, and a few at a time (rule N4).
func TestRelayOrder(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := testkit.Account(t, s)
		var want, got []models.Key
		for range 5 {
			want = append(want, models.NewKey())
			clock.Advance(-time.Second)
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				tx.EmitToAccount(models.AccountCustomerChanged, models.Key{}, want[len(want)-1])
				return nil
			})
		}
		for _, n := range []int{2, 2, 1, 0} {
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				moved, err := tx.Relay(2)
				if moved != n {
					t.Errorf("%d events got their numbers, want %d", moved, n)
				}
				return err
			})
		}
		rows, err := s.View(t.Context()).Events([]models.StreamRange{{ID: models.StreamID{Account: account.Key, Stream: account.Key}, UpTo: 5}}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range rows {
			got = append(got, e.Subject)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the stream tells %v, want %v", got, want)
		}
	})
}
