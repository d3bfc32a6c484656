package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure a page of all customers of an account, or of the unassigned, passes those who were erased: each other comes once and in order, whether erased ones stand among
// them or in a row longer than a page looks at; that no page reads more than the limit allows, and one that meets a few reads little; and that the list is counted, or
// is not, by no more (rule E9).
func TestCustomerPagesPastErased(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		// A row of erased ones, and before and behind it each second.
		const n, from, to, first = 2*limits.PageScan + 1_700, 400, 2*limits.PageScan + 1_300, 50
		is := func(i int) bool { return i%2 == 0 && (i < from || i >= to) }
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, follow_state, created_at, erased_at)
			SELECT ?, %s, %s, 'FOLLOWING', 1, CASE WHEN n %% 2 = 1 OR n >= %d AND n < %d THEN 1 ELSE 0 END FROM (%s) numbers`, keyOfNumber(s), openidOfNumber(s), from, to, numbersBelow(n)), account.Key)
		mustExec(t, s, fmt.Sprintf(`INSERT INTO conversation (account_id, customer_id, active_at) SELECT ?, %s, n FROM (%s) numbers`, keyOfNumber(s), numbersBelow(n)), account.Key)
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE customer, conversation")
		}
		var want []int
		for i := range n {
			if is(i) {
				want = append(want, i)
			}
		}
		no := false
		for name, filter := range map[string]store.CustomerFilter{"all": {}, "unassigned": {Assigned: &no}} {
			for _, order := range []models.CustomerOrder{models.OrderNewest, models.OrderOldest} {
				where := fmt.Sprint(name, ", ", order)
				page := relay.Page{First: first}
				var got []int
				short, met := 0, int64(0)
				for more := true; more; {
					var rows []*models.Customer
					var end *relay.Keyset
					look := func(ctx context.Context) (err error) {
						rows, end, err = s.View(ctx).CustomerPage(account.Key, filter, order, page)
						return err
					}
					read, err := int64(0), error(nil)
					if s.IsEmbedded() {
						err = look(t.Context())
					} else {
						read, err = s.RowsRead(t.Context(), func(ctx context.Context) {
							if err := look(ctx); err != nil {
								t.Error(err)
							}
						})
					}
					if page.After == nil && name == "all" {
						met = read
					}
					// What the page looks at, to find its end and to read it, and the asking.
					if err != nil || read > 2*limits.PageScan+8*first+500 {
						t.Fatalf("%s: a page reads %d rows, %v", where, read, err)
					}
					if more = len(rows) > first; more {
						rows = rows[:first]
					}
					for _, c := range rows {
						got = append(got, numberOf(t, c.Key))
						page.After = &relay.Keyset{Key: c.Key}
					}
					if end != nil {
						more, page.After = true, end
						short++
					}
				}
				if order == models.OrderNewest {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %d customers, want %d", where, len(got), len(want))
				}
				if looks := (to - from) / limits.PageScan; short < looks || short > looks+1 {
					t.Errorf("%s: %d pages are short, want %d or one more", where, short, looks)
				}
				if met > 12*first {
					t.Errorf("%s: a page that meets each second reads %d rows", where, met)
				}
			}
		}
	})
}

// Ensure all customers of an account, and the unassigned, are counted where that takes no look at more than limits.PageScan of them, and not where it would (rule E9).
func TestCountPastErased(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		no := false
		for name, tt := range map[string]struct {
			// n customers, of whom so many are there; the erased are the first or the last.
			n, there int
			known    bool
		}{
			"none":                             {0, 0, true},
			"as many as are looked at":         {limits.PageScan, limits.CustomerCount - 1, true},
			"one more":                         {limits.PageScan + 1, limits.CustomerCount - 1, false},
			"one more, and enough":             {limits.PageScan + 1, limits.CustomerCount + 1, true},
			"no more than are counted":         {limits.CustomerCount, limits.CustomerCount - 1, true},
			"many, and one erased of them all": {limits.PageScan + 10, limits.PageScan + 9, true},
			"more erased than are looked at":   {3 * limits.PageScan, 5, false},
		} {
			account := testkit.Account(t, s)
			if tt.n > 0 {
				mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, follow_state, created_at, erased_at) SELECT ?, %s, %s, 'FOLLOWING', 1, CASE WHEN n >= %d THEN 1 ELSE 0 END FROM (%s) numbers`,
					keyOfNumber(s), openidOfNumber(s), tt.there, numbersBelow(tt.n)), account.Key)
			}
			for list, filter := range map[string]store.CustomerFilter{"all": {}, "unassigned": {Assigned: &no}} {
				check := func(ctx context.Context) {
					got, known, err := s.View(ctx).CountPages(account.Key, filter, limits.CustomerCount)
					if want := min(tt.there, limits.CustomerCount); err != nil || known != tt.known || known && got != want {
						t.Errorf("%s, %s: %d, %t, %v; want %d, %t", name, list, got, known, err, want, tt.known)
					}
				}
				if s.IsEmbedded() {
					check(t.Context())
				} else if read, err := s.RowsRead(t.Context(), check); err != nil || read > 3*(limits.CustomerCount+limits.PageScan)+500 {
					t.Errorf("%s, %s: %d rows are read, %v", name, list, read, err)
				}
			}
		}
	})
}
