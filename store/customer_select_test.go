package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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

// Ensure the pages of the history, the looks of a job, and the search for jobs and what is old go along
// an index.
func TestPlansOfBindingsAndJobs(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	advisor := testkit.Advisors(t, s, account, 1)[0]
	mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, follow_state, created_at, advisor_id, bound_at)
		SELECT ?, %s, %s, 'FOLLOWING', 1, CASE WHEN n %% 10 = 0 THEN ? END, n FROM (%s) numbers`, keyOfNumber(s), openidOfNumber(s), numbersBelow(20_000)),
		account.Key, advisor.Key)
	mustExec(t, s, `INSERT INTO binding (account_id, id, customer_id, advisor_id, former_id, change_kind)
		SELECT account_id, id, id, COALESCE(advisor_id, id), CASE WHEN bound_at % 20 = 1 THEN ? END, 'BOUND' FROM customer`, advisor.Key)
	mustExec(t, s, `INSERT INTO job (account_id, id, state, finished_at, parameters, progress, failures) SELECT account_id, id, 'FINISHED', bound_at, '', '', '' FROM customer`)
	mustExec(t, s, "ANALYZE TABLE customer, binding, job")
	a, id, customer, end := account.Key[:], advisor.Key[:], []byte("0000000000000777"), []byte("0000000000019000")
	for name, tt := range map[string]struct {
		query, index string
		args         []any
	}{
		"history of a customer": {"SELECT * FROM binding WHERE account_id = ? AND customer_id = ? AND id < ? ORDER BY id DESC LIMIT 51", "binding_customer", []any{a, customer, end}},
		"what an advisor got":   {"SELECT * FROM binding WHERE account_id = ? AND advisor_id = ? AND id < ? ORDER BY id DESC LIMIT 51", "binding_advisor", []any{a, id, end}},
		"what an advisor lost":  {"SELECT * FROM binding WHERE account_id = ? AND former_id = ? AND id < ? ORDER BY id DESC LIMIT 51", "binding_former", []any{a, id, end}},
		"customers of one": {`SELECT id, bound_at FROM customer WHERE account_id = ? AND created_at <= 9 AND bound_at <= 9000 AND advisor_id = ?
			AND (bound_at > 100 OR bound_at = 100 AND id > ?) ORDER BY bound_at, id LIMIT 500`, "customer_advisor", []any{a, id, id}},
		"customers of nobody": {`SELECT id, bound_at FROM customer WHERE account_id = ? AND created_at <= 9 AND bound_at <= 9000 AND advisor_id IS NULL
			AND (bound_at > 100 OR bound_at = 100 AND id > ?) ORDER BY bound_at, id LIMIT 500`, "customer_advisor", []any{a, id}},
		"a window": {"SELECT id FROM customer WHERE account_id = ? AND id > ? ORDER BY id LIMIT 1 OFFSET 19999", "PRIMARY", []any{a, id}},
		"due jobs": {"SELECT job.* FROM job JOIN account a ON a.id = job.account_id WHERE job.state IN ('QUEUED', 'RUNNING') AND job.due_at <= 5 AND a.capability = 'OPEN' ORDER BY job.due_at, job.id LIMIT 4", "job_due", nil},
		"old jobs": {"SELECT account_id, id, finished_at FROM job WHERE finished_at > 0 AND finished_at < 100 ORDER BY finished_at LIMIT 100", "job_finished", nil},
	} {
		rows, err := mustSQL(t, s).QueryContext(t.Context(), "EXPLAIN "+tt.query, tt.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		var used []string
		var extras []string
		for rows.Next() {
			values, into := make([]*string, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, c := range columns {
				switch {
				case values[i] == nil:
				case c == "key":
					used = append(used, *values[i])
				case c == "Extra":
					extras = append(extras, *values[i])
				}
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(used, tt.index) || name != "due jobs" && strings.Contains(strings.Join(extras, " "), "filesort") {
			t.Errorf("%s: uses %v, %v, want %s", name, used, extras, tt.index)
		}
	}
}
