package store

import (
	"database/sql"

	"clientele/limits"
	"clientele/models"
)

// Selection is how far a job has come through the customers that a filter selects: behind BoundAt and
// Key where the customers lie along an index by their binding, behind Key alone otherwise.
type Selection struct {
	BoundAt models.Time `json:"boundAt,omitempty"`
	Key     models.Key  `json:"key,omitzero"`
}

// conditions is the filter as conditions on the table customer, each with AND before it. Customers who
// came, or were bound, after until are none of the selection, or a job that binds could go on for ever.
func (f CustomerFilter) conditions(until models.Time) (where string, args []any) {
	where, args = " AND created_at <= ? AND bound_at <= ?", []any{int64(until), int64(until)}
	if !f.Advisor.IsZero() {
		where, args = where+" AND advisor_id = ?", append(args, f.Advisor[:])
	}
	if f.Assigned != nil {
		where += " AND advisor_id IS " + map[bool]string{true: "NOT ", false: ""}[*f.Assigned] + "NULL"
	}
	return where, args
}

// isAlongBindings reports whether what the filter selects lies together in the index customer_advisor.
func (f CustomerFilter) isAlongBindings() bool {
	return !f.Advisor.IsZero() || f.Assigned != nil && !*f.Assigned
}

// SelectCustomers reads the next keys, at most most, of customers that a filter selects, and where
// they end; last says that nothing follows. It looks at no more than limits.JobScan customers, so it
// may answer few keys, or none, though more follow. Nothing is locked: see MatchingCustomers.
func (r *Reader) SelectCustomers(account models.Key, f CustomerFilter, until models.Time, after Selection, most int,
) (keys []models.Key, next Selection, last bool, err error) {
	where, args := f.conditions(until)
	args = append([]any{account[:]}, args...)
	next = after
	var end models.Key // of the window that is looked at, when the selection may go on behind it
	if f.isAlongBindings() {
		where += " AND (bound_at > ? OR bound_at = ? AND id > ?) ORDER BY bound_at, id"
		args = append(args, int64(after.BoundAt), int64(after.BoundAt), after.Key[:])
	} else {
		if end, err = r.windowEnd(account, after.Key); err != nil {
			return nil, next, false, err
		}
		where, args = where+" AND id > ?", append(args, after.Key[:])
		if !end.IsZero() {
			where, args = where+" AND id <= ?", append(args, end[:])
		}
		where += " ORDER BY id"
	}
	err = r.query(func(rows *sql.Rows) error {
		if err := rows.Scan(&next.Key, &next.BoundAt); err != nil {
			return err
		}
		keys = append(keys, next.Key)
		return nil
	}, "SELECT id, bound_at FROM customer WHERE account_id = ?"+where+" LIMIT ?", append(args, most)...)
	switch {
	case len(keys) == most:
	case end.IsZero():
		last = true
	default:
		next = Selection{Key: end}
	}
	return keys, next, last, err
}

// windowEnd is the customer limits.JobScan behind one; zero when there are not so many.
func (r *Reader) windowEnd(account, after models.Key) (end models.Key, err error) {
	return end, r.query(func(rows *sql.Rows) error { return rows.Scan(&end) },
		"SELECT id FROM customer WHERE account_id = ? AND id > ? ORDER BY id LIMIT 1 OFFSET ?", account[:], after[:], limits.JobScan-1)
}

// MatchingCustomers reads which of these customers a filter selects. Asked of customers that are
// locked, it tells what holds until the transaction ends.
func (r *Reader) MatchingCustomers(account models.Key, f CustomerFilter, until models.Time, keys []models.Key) (map[models.Key]bool, error) {
	matching := make(map[models.Key]bool, len(keys))
	if len(keys) == 0 {
		return matching, nil
	}
	where, args := f.conditions(until)
	return matching, r.query(func(rows *sql.Rows) error {
		var key models.Key
		err := rows.Scan(&key)
		matching[key] = true
		return err
	}, "SELECT id FROM customer WHERE account_id = ? AND id IN ("+marks(len(keys))+")"+where, append(keyArgs(account, keys), args...)...)
}

// CountCustomers counts the customers that a filter selects, no further than most.
func (r *Reader) CountCustomers(account models.Key, f CustomerFilter, until models.Time, most int) (n int64, err error) {
	where, args := f.conditions(until)
	return n, r.query(func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT COUNT(*) FROM (SELECT 1 FROM customer WHERE account_id = ?"+where+" LIMIT ?) AS counted", append(append([]any{account[:]}, args...), most)...)
}
