package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure the pages of customers who have one of several options show each of them once, in order, whatever the options, the order, what
// else is asked and who was erased meanwhile, and that the count says as many (rule E9).
func TestPagesOfCustomersWithOneOfSeveralTags(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account, other := testkit.Account(t, s), testkit.Account(t, s)
		r := rand.New(rand.NewPCG(3, 1))
		keys := testkit.Customers(t, s, account.Key, 150)
		slices.SortFunc(keys, func(x, y models.Key) int { return slices.Compare(x[:], y[:]) })
		foreign := testkit.Customers(t, s, other.Key, 5)
		options := make([]models.Key, 5)
		has := map[models.Key][]bool{}
		put := func(account, customer, option models.Key) {
			mustExec(t, s, "INSERT INTO customer_tag (account_id, customer_id, option_id) VALUES (?, ?, ?)", account, customer, option)
		}
		for i := range options {
			options[i] = models.NewKey()
			for _, k := range foreign {
				put(other.Key, k, options[i])
			}
		}
		gone, left := map[models.Key]bool{}, map[models.Key]bool{}
		for i, k := range keys {
			has[k] = make([]bool, len(options))
			for o := range options {
				// The first option is everybody's in the middle, the last nobody's.
				if o == 0 && i > 40 && i < 110 || o > 0 && o < len(options)-1 && r.IntN(8) == 0 {
					has[k][o] = true
					put(account.Key, k, options[o])
				}
			}
			if i%9 == 0 { // erased, and the sweep has not come by
				gone[k] = true
				mustExec(t, s, "UPDATE customer SET erased_at = 1 WHERE account_id = ? AND id = ?", account.Key, k)
			}
			if i%3 == 0 {
				left[k] = true
				mustExec(t, s, "UPDATE customer SET follow_state = 'UNFOLLOWED' WHERE account_id = ? AND id = ?", account.Key, k)
			} else {
				mustExec(t, s, "UPDATE customer SET follow_state = 'FOLLOWING' WHERE account_id = ? AND id = ?", account.Key, k)
			}
		}
		for _, any := range [][]int{{0, 1}, {1, 2, 3}, {4, 3}, {0, 1, 2, 3, 4}, {1, 1, 4}, {4, 4}} {
			for _, state := range []models.FollowState{"", models.Unfollowed} {
				f := store.CustomerFilter{FollowState: state}
				for _, o := range any {
					f.Tags.Any = append(f.Tags.Any, options[o])
				}
				var want []models.Key
				for _, k := range keys {
					if !gone[k] && (state == "" || left[k]) && slices.ContainsFunc(any, func(o int) bool { return has[k][o] }) {
						want = append(want, k)
					}
				}
				if n, known, err := s.View(t.Context()).CountPages(account.Key, f, 1000); err != nil || !known || n != len(want) {
					t.Errorf("%v %s: %d are counted (%t, %v), want %d", any, state, n, known, err, len(want))
				}
				for _, order := range []models.CustomerOrder{models.OrderOldest, models.OrderNewest} {
					if order == models.OrderNewest {
						slices.Reverse(want)
					}
					for _, first := range []int{1, 7, 200} {
						var got []models.Key
						var after *relay.Keyset
						for pages := 0; ; pages++ {
							rows, end, err := s.View(t.Context()).CustomerPage(account.Key, f, order, relay.Page{First: first, After: after})
							if err != nil || pages > 300 {
								t.Fatalf("%d pages: %v", pages, err)
							}
							more := len(rows) > first
							rows = rows[:min(len(rows), first)]
							for _, c := range rows {
								got = append(got, c.Key)
							}
							switch {
							case more:
								after = &relay.Keyset{Key: rows[len(rows)-1].Key}
								continue
							case end != nil:
								after = end
								continue
							}
							break
						}
						if !slices.Equal(got, want) {
							t.Errorf("%v %s, %s, by %d: %d customers, want %d", any, state, order, first, len(got), len(want))
						}
					}
				}
			}
		}
	})
}
