package store_test

import (
	"context"
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

// mustEmit writes n events to a stream.
func mustEmit(tb testing.TB, s *store.Store, account, stream models.Key, n int) {
	tb.Helper()
	testkit.Write(tb, s, account, func(tx *store.Tx) error {
		for range n {
			emit(tx, stream)
		}
		return nil
	})
}

// Ensure the beginnings of streams are those of the account, in pages, and say what is the oldest
// event whatever the floor.
func TestStreamBeginnings(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account, other := testkit.Account(t, s), testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 3)
		mustEmit(t, s, other.Key, testkit.Advisors(t, s, other, 1)[0].Key, 1)
		began := clock.Time()
		for range 3 {
			mustEmit(t, s, account.Key, advisors[0].Key, 1)
			mustEmit(t, s, account.Key, advisors[1].Key, 1)
			clock.Advance(time.Hour)
		}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			return tx.RaiseFloors(map[models.Key]int64{advisors[1].Key: 2})
		})
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			return tx.DeleteEvents([]models.StreamRange{{ID: models.StreamID{Stream: advisors[1].Key}, After: 0, UpTo: 1}})
		})
		want := []store.OldStream{
			{Key: advisors[0].Key, Head: 3, First: 1, At: began},
			{Key: advisors[1].Key, Head: 3, Floor: 2, First: 2, At: began.Add(time.Hour)},
			{Key: advisors[2].Key},
		}
		var got []store.OldStream
		var after models.Key
		for {
			page, err := s.View(t.Context()).StreamBeginnings(account.Key, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if len(page) < 2 {
				break
			}
			after = page[1].Key
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		keys, err := s.View(t.Context()).AccountKeys(models.Key{}, 1)
		if err != nil || len(keys) != 1 {
			t.Fatalf("accounts %v, %v", keys, err)
		}
		rest, err := s.View(t.Context()).AccountKeys(keys[0], 10)
		if all := append(keys, rest...); err != nil || !slices.Contains(all, account.Key) || !slices.Contains(all, other.Key) || len(all) != 2 {
			t.Errorf("accounts %v, %v", all, err)
		}
	})
}

// Ensure a floor rises, never falls, and never passes the head.
func TestRaiseFloors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		a := testkit.Advisors(t, s, account, 1)[0]
		mustEmit(t, s, account.Key, a.Key, 5)
		id := models.StreamID{Account: account.Key, Stream: a.Key}
		for _, tt := range []struct{ to, want int64 }{{3, 3}, {2, 3}, {3, 3}, {99, 5}} {
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.RaiseFloors(map[models.Key]int64{a.Key: tt.to}) })
			heads, err := s.Log().Heads(t.Context(), []models.StreamID{id})
			if err != nil || !slices.Equal(heads, []models.StreamHead{{ID: id, Head: 5, Floor: tt.want}}) {
				t.Errorf("raised to %d: %+v, %v", tt.to, heads, err)
			}
		}
		mustEmit(t, s, account.Key, a.Key, 1)
		if heads, err := s.Log().Heads(t.Context(), []models.StreamID{id}); err != nil || heads[0].Head != 6 || heads[0].Floor != 5 {
			t.Errorf("after the next event %+v, %v", heads, err)
		}
	})
}

// Ensure nobody who writes to a stream waits for a transaction that deletes its events, nor that
// one for who writes: each goes on and commits while the other is open, whatever part of the
// stream is deleted.
func TestDeletionAndWritersDoNotWait(t *testing.T) {
	dsn := testkit.MySQL(t) // SQLite has one writer at a time.
	s := testkit.Store(t, dsn, nil)
	account := testkit.Account(t, s)
	for _, tt := range []struct {
		name    string
		events  int
		deleted int64
	}{
		{"the beginning", 2_000, 1_000},
		{"all", 500, 500},
		{"of a few", 3, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := testkit.Advisors(t, s, account, 3, func(i int, a *models.Advisor) { a.OpenID = models.Ident(fmt.Sprintf("%s-%d", t.Name(), i)) })[1]
			mustEmit(t, s, account.Key, a.Key, tt.events)
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.RaiseFloors(map[models.Key]int64{a.Key: tt.deleted}) })
			ranges := []models.StreamRange{{ID: models.StreamID{Account: account.Key, Stream: a.Key}, UpTo: tt.deleted}}
			// A context that ends long before the engine's lock wait would: who waits fails.
			quick, cancel := context.WithTimeout(t.Context(), limits.LockWait/2)
			defer cancel()
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				if err := tx.DeleteEvents(ranges); err != nil {
					return err
				}
				err := s.Write(quick, store.System(), account.Key, func(tx *store.Tx) error {
					emit(tx, a.Key)
					return nil
				})
				if err != nil {
					t.Errorf("a writer waited for the deletion: %v", err)
				}
				return nil
			})
			// And the other way round: the newest event is written and not committed.
			raw, err := mustSQL(t, s).BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = raw.Rollback() }()
			if _, err := raw.ExecContext(t.Context(), "UPDATE stream SET head = head + 1 WHERE account_id = ? AND id = ?", account.Key[:], a.Key[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := raw.ExecContext(t.Context(), "INSERT INTO event (account_id, stream_id, seq) SELECT account_id, id, head FROM stream WHERE account_id = ? AND id = ?",
				account.Key[:], a.Key[:]); err != nil {
				t.Fatal(err)
			}
			if err := s.Write(quick, store.System(), account.Key, func(tx *store.Tx) error { return tx.DeleteEvents(ranges) }); err != nil {
				t.Errorf("the deletion waited for a writer: %v", err)
			}
		})
	}
}

// Ensure what is deleted for its age is found by an index and deleted by its key: neither reads
// the table through.
func TestRetentionUsesIndexes(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	db := mustSQL(t, s)
	account := testkit.Account(t, s)
	const rows = 5_000
	for table, insert := range map[string]string{
		"idempotency": "INSERT INTO idempotency (account_id, subject, idem_key, body_hash, created_at) VALUES (?, 'advisor', ?, '', ?)",
		"inbound":     "INSERT INTO inbound (account_id, dedup_key, outcome, created_at) VALUES (?, ?, '', ?)",
		"event":       "INSERT INTO event (account_id, stream_id, seq, at) VALUES (?, '0123456789abcdef', ?, ?)",
	} {
		head, one, _ := strings.Cut(insert, " VALUES ")
		for i := 0; i < rows; i += 500 {
			var args []any
			for j := range 500 {
				args = append(args, account.Key[:], i+j, i+j)
			}
			if _, err := db.ExecContext(t.Context(), head+" VALUES "+strings.Repeat(","+one, 500)[1:], args...); err != nil {
				t.Fatalf("%s: %v", table, err)
			}
		}
		if _, err := db.ExecContext(t.Context(), "ANALYZE TABLE "+table); err != nil {
			t.Fatal(err)
		}
	}
	key := fmt.Sprintf("X'%s'", account.Key)
	for query, index := range map[string]string{
		"SELECT account_id, subject, idem_key, created_at FROM idempotency WHERE created_at < 100 ORDER BY created_at LIMIT 1000":                           "idempotency_created",
		"SELECT account_id, dedup_key, created_at FROM inbound WHERE kind = '' AND outcome = '' AND created_at < 100 ORDER BY created_at LIMIT 1000":        "inbound_created",
		"DELETE FROM event WHERE account_id = " + key + " AND stream_id = '0123456789abcdef' AND seq > 0 AND seq <= 100":                                    "PRIMARY",
		"DELETE FROM inbound WHERE account_id = " + key + " AND ((dedup_key = '1') OR (dedup_key = '2'))":                                                   "PRIMARY",
		"DELETE FROM idempotency WHERE account_id = " + key + " AND ((subject = 'advisor' AND idem_key = '1') OR (subject = 'advisor' AND idem_key = '2'))": "PRIMARY",
	} {
		if plan := mustExplain(t, s, query); plan.key != index || plan.rows > 300 {
			t.Errorf("%s\nuses %q for %d rows, want %q", query, plan.key, plan.rows, index)
		}
	}
	mustExec(t, s, "INSERT INTO stream (account_id, id, head) VALUES (?, '0123456789abcdef', ?)", account.Key[:], rows)
	// What a plan says of LIMIT is no promise: count what the engine reads.
	var page []store.OldStream
	read, err := s.RowsRead(t.Context(), func(ctx context.Context) {
		var err error
		if page, err = s.View(ctx).StreamBeginnings(account.Key, models.Key{}, limits.StreamsPerRead); err != nil {
			t.Error(err)
		}
	})
	if err != nil || len(page) != 1 || page[0].Head != rows {
		t.Fatalf("beginnings %+v, %v", page, err)
	}
	if read > 1_000 {
		t.Errorf("the beginning of one stream of %d events took %d reads", rows, read)
	}
}

// plan is the last line of a query's plan.
type plan struct {
	table, key string
	rows       int64
}

func mustExplain(tb testing.TB, s *store.Store, query string) (last plan) {
	tb.Helper()
	rows, err := mustSQL(tb, s).QueryContext(tb.Context(), "EXPLAIN "+query)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		var table, key *string
		var n *int64
		for i, c := range columns {
			values[i] = new(any)
			switch c {
			case "table":
				values[i] = &table
			case "key":
				values[i] = &key
			case "rows":
				values[i] = &n
			}
		}
		if err := rows.Scan(values...); err != nil {
			tb.Fatal(err)
		}
		last = plan{}
		if table != nil {
			last.table = *table
		}
		if key != nil {
			last.key = *key
		}
		if n != nil {
			last.rows = *n
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return last
}

// Ensure one node has a sweep at a time, keeps it while it says so, and another gets it when it
// does not.
func TestLeaseSweep(t *testing.T) {
	dsn := testkit.MySQL(t)
	clock := testkit.NewClock()
	one, two := testkit.Store(t, dsn, clock), testkit.Store(t, dsn, clock)
	ask := func(s *store.Store, f func(context.Context, string, models.Time) (bool, error), life time.Duration, want bool) {
		t.Helper()
		if got, err := f(t.Context(), "x", clock.Time().Add(life)); err != nil || got != want {
			t.Errorf("%t, %v; want %t", got, err, want)
		}
	}
	ask(one, one.LeaseSweep, time.Minute, true)
	ask(two, two.LeaseSweep, time.Minute, false)
	ask(one, one.LeaseSweep, time.Minute, false) // its own as well: a pass is begun once.
	ask(two, two.KeepSweep, time.Minute, false)
	clock.Advance(30 * time.Second)
	ask(one, one.KeepSweep, time.Minute, true)
	clock.Advance(59 * time.Second)
	ask(two, two.LeaseSweep, time.Minute, false)
	clock.Advance(time.Second)
	ask(two, two.LeaseSweep, time.Minute, true)
	ask(one, one.KeepSweep, time.Minute, false)
	if got, err := one.LeaseSweep(t.Context(), "another", clock.Time().Add(time.Minute)); err != nil || !got {
		t.Errorf("another sweep: %t, %v", got, err)
	}
}

// Ensure rows of nodes that are gone go, and others stay.
func TestDeleteNodes(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		for i := range 3 {
			mustExec(t, s, "INSERT INTO node (id, beat_at) VALUES (?, ?)", []byte(strings.Repeat(string(rune('a'+i)), 16)), i)
		}
		for range 2 {
			if err := s.DeleteNodes(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
		}
		var left string
		if err := mustSQL(t, s).QueryRowContext(t.Context(), "SELECT MAX(id) FROM node HAVING COUNT(*) = 1").Scan(&left); err != nil || left != strings.Repeat("c", 16) {
			t.Errorf("left %q, %v", left, err)
		}
	})
}
