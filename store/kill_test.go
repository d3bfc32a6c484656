package store_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/store"
)

// endless is a statement that nobody sees the end of, for each engine. It says no word before its end.
func endless(s *store.Store) string {
	if s.IsEmbedded() {
		return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
	}
	const from = "information_schema.collations" // some hundred rows
	return "SELECT COUNT(*) FROM " + from + " a, " + from + " b, " + from + " c, " + from + " d WHERE CONCAT(a.id, b.id, c.id, d.id) = 'endless'"
}

// running is the statements that run in this test's database.
func running(tb testing.TB, s *store.Store) []string {
	tb.Helper()
	return mustStrings(tb, mustSQL(tb, s),
		"SELECT COALESCE(info, state, '') FROM information_schema.processlist "+
			"WHERE db = DATABASE() AND command <> 'Sleep' AND COALESCE(info, '') NOT LIKE '%PROCESSLIST%' AND id <> CONNECTION_ID()")
}

// awaitRunning returns once so many statements run.
func awaitRunning(tb testing.TB, s *store.Store, want int) {
	tb.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		got := running(tb, s)
		if len(got) == want {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			tb.Fatalf("waited in vain for %d statements; there run %q", want, got)
		}
	}
}

// Ensure that what a context was given up over ends in the database too: a statement that stands by itself, one of a snapshot, one that
// writes and one that waits for a lock; and that the store goes on (rule X2).
func TestStatementEndsWithItsContext(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		ways := map[string]func(context.Context) error{
			"view": func(ctx context.Context) error { return s.View(ctx).Run(endless(s)) },
			"snapshot": func(ctx context.Context) error {
				return s.Read(ctx, func(r *store.Reader) error { return r.Run(endless(s)) })
			},
			"write": func(ctx context.Context) error {
				return s.Write(ctx, store.System(), account.Key, func(tx *store.Tx) error {
					tx.OwnRecord()
					if err := tx.Run("UPDATE account SET name = 'undone'"); err != nil {
						return err
					}
					return tx.Reader.Run(endless(s))
				})
			},
		}
		for name, way := range ways {
			t.Run(name+"/time", func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if err := way(ctx); !ended(err) {
					t.Errorf("answered %v", err)
				}
				if !s.IsEmbedded() {
					awaitRunning(t, s, 0)
				}
			})
			t.Run(name+"/given up", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- way(ctx) }()
				if !s.IsEmbedded() {
					awaitRunning(t, s, 1)
				}
				cancel()
				if err := testkit.Receive(t, done); !ended(err) {
					t.Errorf("answered %v", err)
				}
				if !s.IsEmbedded() {
					awaitRunning(t, s, 0)
				}
			})
		}
		if n := mustCount(t, s, "account WHERE name = 'undone'"); n != 0 {
			t.Error("a transaction that ran out of time changed something")
		}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.Run("UPDATE account SET name = 'goes on'") })
	})
}

// ended reports whether an error says that a context ended.
func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// Ensure that who gives up waiting for a row's lock does not wait on in the database.
func TestWaitForLockEndsWithItsContext(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	update := func(tx *store.Tx) error { return tx.Run("UPDATE account SET name = 'x'") }
	testkit.Write(t, s, account.Key, func(held *store.Tx) error {
		if err := update(held); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Write(ctx, store.System(), account.Key, update) }()
		awaitRunning(t, s, 1)
		cancel()
		if err := testkit.Receive(t, done); !ended(err) {
			t.Errorf("answered %v", err)
		}
		awaitRunning(t, s, 0)
		return nil
	})
}

// Ensure the server ends by itself what reads for too long, with the error of a context whose time is over; and not what
// writes, for which nothing but its context counts.
func TestStatementTime(t *testing.T) {
	s := testkit.Open(t, store.Options{DSN: testkit.MySQL(t), StatementTime: 20 * time.Millisecond})
	account := testkit.Account(t, s)
	if err := s.View(t.Context()).Run(endless(s)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("answered %v", err)
	}
	err := s.Read(t.Context(), func(r *store.Reader) error {
		if err := r.Run(endless(s)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answered %v in a snapshot", err)
		}
		return r.Run("SELECT 1") // the connection is as good as before
	})
	if err != nil {
		t.Error(err)
	}
	testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.Reader.Run("SELECT SLEEP(0.1)") })
}

// Ensure nobody is killed who has the number of another: a server behind the same name may have given it, or the same one after a
// restart.
func TestKillEndsNobodyElse(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	conn, err := mustSQL(t, s).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id, err := strconv.ParseUint(mustStrings(t, conn, "SELECT CONNECTION_ID()")[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint64{id, 1<<32 - 1} {
		if err := s.KillOther(t.Context(), id); err != nil {
			t.Errorf("kill %d: %v", id, err)
		}
	}
	if _, err := conn.ExecContext(t.Context(), "DO 1"); err != nil {
		t.Errorf("somebody else was killed: %v", err)
	}
}

// Ensure that statements ended by a KILL QUERY from outside are told as given up.
func TestKillQuery(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	done := make(chan error, 1)
	go func() { done <- s.View(t.Context()).Run(endless(s)) }()
	awaitRunning(t, s, 1)
	ids := mustStrings(t, mustSQL(t, s), "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%endless%' AND id <> CONNECTION_ID()")
	if _, err := mustSQL(t, s).ExecContext(t.Context(), "KILL QUERY "+ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("answered %v", err)
	}
}
