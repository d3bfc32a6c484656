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
	// WindowEnd is up to where customers are looked at before it is asked again how far that may be;
	// zero: it has to be asked. Rest: there are no more than may be looked at.
	WindowEnd models.Key `json:"windowEnd,omitzero"`
	Rest      bool       `json:"rest,omitempty"`
}

// conditions is the filter as conditions on the table customer, each with AND before it. Customers who
// came, or were bound, after until are none of the selection, or a job that binds could go on for ever.
func (f CustomerFilter) conditions(until models.Time) (where string, args []any) {
	where, args = f.where()
	return " AND created_at <= ? AND bound_at <= ?" + where, append([]any{int64(until), int64(until)}, args...)
}

// isAlongBindings reports whether what the filter selects lies together in the index customer_advisor,
// or among no more than an advisor's customers.
func (f CustomerFilter) isAlongBindings() bool {
	return !f.Advisor.IsZero() || f.Assigned != nil && !*f.Assigned && !f.IsNarrow()
}

// SelectCustomers reads the next keys, at most most, of customers that a filter selects, and where
// they end; last says that nothing follows. It looks at no more than limits.JobScan customers, so it
// may answer few keys, or none, though more follow. Nothing is locked: see MatchingCustomers.
func (r *Reader) SelectCustomers(account models.Key, f CustomerFilter, until models.Time, after Selection, most int,
) (keys []models.Key, next Selection, last bool, err error) {
	where, args := f.conditions(until)
	args = append([]any{account[:]}, args...)
	next = after
	if f.isAlongBindings() {
		next.Rest = true
		// Each engine finds its place in an index by one of these and not by the other.
		behind, place := " AND (bound_at > ? OR bound_at = ? AND id > ?)", []any{int64(after.BoundAt), int64(after.BoundAt), after.Key[:]}
		if r.store.IsEmbedded() {
			behind, place = " AND (bound_at, id) > (?, ?)", place[1:]
		}
		where, args = where+behind+" ORDER BY bound_at, id", append(args, place...)
	} else {
		if err := r.look(account, &next); err != nil {
			return nil, next, false, err
		}
		where, args = where+" AND id > ?", append(args, after.Key[:])
		if !next.Rest {
			where, args = where+" AND id <= ?", append(args, next.WindowEnd[:])
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
	if len(keys) < most && !next.Rest { // the window is behind us
		next = Selection{Key: next.WindowEnd}
	}
	return keys, next, len(keys) < most && next.Rest, err
}

// look sets how far a selection may look from where it is: limits.JobScan customers, or all the rest.
func (r *Reader) look(account models.Key, at *Selection) error {
	if at.Rest || !at.WindowEnd.IsZero() {
		return nil
	}
	err := r.query(func(rows *sql.Rows) error { return rows.Scan(&at.WindowEnd) },
		"SELECT id FROM customer WHERE account_id = ? AND id > ? ORDER BY id LIMIT 1 OFFSET ?", account[:], at.Key[:], limits.JobScan-1)
	at.Rest = at.WindowEnd.IsZero()
	return err
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

// CustomersUntil is the latest instant at which a customer of an advisor came or was bound; 0: they have none. Asked under the advisor's lock it
// takes in everyone who was bound before.
func (tx *Tx) CustomersUntil(advisor models.Key) (until models.Time, err error) {
	return until, tx.query(func(rows *sql.Rows) error {
		var bound, created models.Time
		err := rows.Scan(&bound, &created)
		until = max(bound, created)
		return err
	}, "SELECT COALESCE(MAX(bound_at), 0), COALESCE(MAX(created_at), 0) FROM customer WHERE account_id = ? AND advisor_id = ?", tx.Account[:], advisor[:])
}

// CountCustomers counts the customers that a filter selects, no further than most.
func (r *Reader) CountCustomers(account models.Key, f CustomerFilter, until models.Time, most int) (n int64, err error) {
	where, args := f.conditions(until)
	return n, r.query(func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT COUNT(*) FROM (SELECT 1 FROM customer WHERE account_id = ?"+where+" LIMIT ?) AS counted", append(append([]any{account[:]}, args...), most)...)
}
