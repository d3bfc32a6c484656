package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure a selection comes to each customer that its filter selects once, whatever the pages, and looks
// at no more than limits.JobScan customers for one; and that who came later is none of it.
func TestSelectCustomers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		other := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 2)
		const n = limits.JobScan + 1_007
		// Every thousandth is bound, to either; two bindings at one instant each.
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, follow_state, created_at, advisor_id, bound_at)
			SELECT ?, %s, %s, 'FOLLOWING', 1, CASE WHEN n %% 1000 = 0 THEN CASE WHEN n %% 2000 = 0 THEN ? ELSE ? END END, CASE WHEN n %% 1000 = 0 THEN n - n %% 4000 ELSE 0 END
			FROM (%s) numbers`, keyOfNumber(s), openidOfNumber(s), numbersBelow(n)),
			account.Key, advisors[0].Key, advisors[1].Key)
		testkit.Customers(t, s, other.Key, 3)
		yes, no := true, false
		for _, tt := range []struct {
			name   string
			filter store.CustomerFilter
			until  models.Time
			want   int
			looks  int // at least so many pages
		}{
			{"all", store.CustomerFilter{}, s.Now(), n, n / limits.BindBatch},
			{"assigned", store.CustomerFilter{Assigned: &yes}, s.Now(), n/1000 + 1, 2},
			{"unassigned", store.CustomerFilter{Assigned: &no}, s.Now(), n - n/1000 - 1, 1},
			{"of one", store.CustomerFilter{Advisor: advisors[0].Key}, s.Now(), n/2000 + 1, 1},
			{"of one, assigned", store.CustomerFilter{Advisor: advisors[0].Key, Assigned: &yes}, s.Now(), n/2000 + 1, 1},
			{"of one, unassigned", store.CustomerFilter{Advisor: advisors[0].Key, Assigned: &no}, s.Now(), 0, 1},
			{"bound by 16,000", store.CustomerFilter{Assigned: &yes}, 16_000, 20, 2},
			{"before anybody came", store.CustomerFilter{}, 0, 0, 2},
		} {
			seen := map[models.Key]bool{}
			var at store.Selection
			pages, last := 0, false
			for ; !last; pages++ {
				var keys []models.Key
				var err error
				if keys, at, last, err = s.View(t.Context()).SelectCustomers(account.Key, tt.filter, tt.until, at, limits.BindBatch); err != nil {
					t.Fatal(err)
				}
				for _, k := range keys {
					if seen[k] {
						t.Fatalf("%s: %s comes twice", tt.name, k)
					}
					seen[k] = true
				}
				if len(keys) > limits.BindBatch || pages > n {
					t.Fatalf("%s: page %d has %d", tt.name, pages, len(keys))
				}
				matching, err := s.View(t.Context()).MatchingCustomers(account.Key, tt.filter, tt.until, keys)
				if err != nil || len(matching) != len(keys) {
					t.Fatalf("%s: %d of %d match, %v", tt.name, len(matching), len(keys), err)
				}
			}
			if len(seen) != tt.want || pages < tt.looks {
				t.Errorf("%s: %d customers in %d pages, want %d in %d", tt.name, len(seen), pages, tt.want, tt.looks)
			}
			counted, err := s.View(t.Context()).CountCustomers(account.Key, tt.filter, tt.until, 50)
			if err != nil || counted != int64(min(tt.want, 50)) {
				t.Errorf("%s: %d are counted, %v", tt.name, counted, err)
			}
		}
	})
}

// numbersBelow is a query for the numbers below n, as its column n.
func numbersBelow(n int) string {
	var digits []string
	for d := range 10 {
		digits = append(digits, fmt.Sprintf("SELECT %d AS d", d))
	}
	one := "(" + strings.Join(digits, " UNION ALL ") + ")"
	return fmt.Sprintf(`SELECT * FROM (SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d AS n FROM %s a, %s b, %s c, %s e, %s f) every WHERE n < %d`,
		one, one, one, one, one, n)
}

func keyOfNumber(s *store.Store) string {
	if s.IsEmbedded() {
		return "CAST(printf('%016d', n) AS BLOB)"
	}
	return "LPAD(n, 16, '0')"
}

func openidOfNumber(s *store.Store) string {
	if s.IsEmbedded() {
		return "CAST(printf('%016d', n) AS BLOB)"
	}
	return "LPAD(n, 16, '0')"
}

// Ensure the pages of the history and of the log of changes, the looks of a job, and the search for jobs and for what is old go along an index on
// both engines, by the statements that the store really runs: the engine's own plan of each says so, and nothing but due jobs is sorted.
func TestPlansOfBindingsAndJobs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisor := testkit.Advisors(t, s, account, 1)[0]
		const n = 20_000
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, follow_state, created_at, advisor_id, bound_at, unfollowed_at)
			SELECT ?, %s, %s, CASE WHEN n %% 3 = 0 THEN 'UNFOLLOWED' ELSE 'FOLLOWING' END, 1, CASE WHEN n %% 10 = 0 THEN ? END, CASE WHEN n %% 10 = 0 THEN n ELSE 0 END, CASE WHEN n %% 3 = 0 THEN n ELSE 0 END FROM (%s) numbers`,
			keyOfNumber(s), openidOfNumber(s), numbersBelow(n)), account.Key, advisor.Key)
		mustExec(t, s, `INSERT INTO binding (account_id, id, customer_id, advisor_id, former_id, change_kind)
			SELECT account_id, id, id, COALESCE(advisor_id, id), CASE WHEN bound_at > 0 AND bound_at % 20 = 0 THEN ? END, 'BOUND' FROM customer`, advisor.Key)
		mustExec(t, s, `INSERT INTO customer_change (account_id, id, customer_id, field, was, became, at) SELECT account_id, id, id, 'NICKNAME', '[]', '[]', bound_at FROM customer`)
		mustExec(t, s, `INSERT INTO job (account_id, id, state, finished_at, parameters, progress, failures) SELECT account_id, id, 'FINISHED', bound_at + 1, '', '', '' FROM customer`)
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE customer, binding, customer_change, job")
		}
		no, customer := false, keyNumbered(777)
		selecting := func(f store.CustomerFilter, at store.Selection) func(r *store.Reader) error {
			return func(r *store.Reader) error {
				_, _, _, err := r.SelectCustomers(account.Key, f, n, at, limits.BindBatch)
				return err
			}
		}
		history := func(f store.BindingFilter) func(r *store.Reader) error {
			return func(r *store.Reader) error {
				_, err := r.BindingPage(account.Key, f, relay.Page{First: 50, After: &relay.Keyset{Key: keyNumbered(n - 1_000)}})
				return err
			}
		}
		changes := func(f store.CustomerChangeFilter) func(r *store.Reader) error {
			return func(r *store.Reader) error {
				_, err := r.CustomerChangePage(account.Key, f, relay.Page{First: 50, After: &relay.Keyset{Sort: n / 2, Key: keyNumbered(n / 2)}})
				return err
			}
		}
		for _, tt := range []struct {
			name string
			run  func(r *store.Reader) error
			// along is the table and the index of each that is read.
			along []string
			sorts bool
		}{
			{"history of all", history(store.BindingFilter{}), []string{"binding PRIMARY"}, false},
			{"history of a customer", history(store.BindingFilter{Customer: customer}), []string{"binding binding_customer"}, false},
			// Of an advisor 51 of either kind are merged.
			{"history of an advisor", history(store.BindingFilter{Advisor: advisor.Key}), []string{"binding binding_advisor", "binding binding_former"}, true},
			{"changes of all", changes(store.CustomerChangeFilter{}), []string{"customer_change customer_change_at"}, false},
			{"changes of a customer", changes(store.CustomerChangeFilter{Customer: customer}), []string{"customer_change customer_change_customer"}, false},
			{"customers of one", selecting(store.CustomerFilter{Advisor: advisor.Key}, store.Selection{BoundAt: 100, Key: customer}), []string{"customer customer_advisor"}, false},
			{"customers of nobody", selecting(store.CustomerFilter{Assigned: &no}, store.Selection{Key: customer}), []string{"customer customer_advisor"}, false},
			{"a window", selecting(store.CustomerFilter{FollowState: models.Following}, store.Selection{Key: customer}), []string{"customer PRIMARY", "customer PRIMARY"}, false},
			{"who left long ago", func(r *store.Reader) error { _, err := r.UnfollowedBefore(account.Key, 100, 50); return err }, []string{"customer customer_unfollowed"}, false},
			{"due jobs", func(r *store.Reader) error { _, err := r.DueJobs(5, 4); return err }, []string{"job job_due"}, true},
			{"old jobs", func(r *store.Reader) error { _, err := r.OldJobs(100, 100); return err }, []string{"job job_finished"}, false},
		} {
			var ran []store.Statement
			if err := tt.run(s.Watched(t.Context(), &ran)); err != nil || len(ran) == 0 {
				t.Fatalf("%s: %d statements, %v", tt.name, len(ran), err)
			}
			var reads []string
			for _, statement := range ran {
				plan := mustPlan(t, s, statement)
				for _, read := range plan.reads {
					if !strings.HasPrefix(read, "a ") { // the accounts, of which there is one
						reads = append(reads, read)
					}
				}
				if plan.isSorted && !tt.sorts {
					t.Errorf("%s: %s\nsorts", tt.name, statement.Text)
				}
			}
			slices.Sort(reads)
			if !slices.Equal(reads, slices.Sorted(slices.Values(tt.along))) {
				t.Errorf("%s reads %q, want %q", tt.name, reads, tt.along)
			}
		}
	})
}
