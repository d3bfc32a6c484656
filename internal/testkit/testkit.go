// Package testkit is what tests share: a database of each engine per test, a clock that is set
// by hand, rows to begin with, and waiting without sleeping. The product does not import it.
//
// Every test has a database to itself. Migrations run once a process and engine; later databases
// are copies of the first. SQLite lives in the test's folder. MySQL or MariaDB is the server of
// CLIENTELE_TEST_MYSQL_DSN, else a private one that starts with the first test that asks and
// ends with the process; where neither can be had the test is skipped with the reason, or fails
// if CLIENTELE_TEST_REQUIRE names mysql.
package testkit

import (
	"fmt"
	"os"
	"testing"
	"time"

	"clientele/models"
	"clientele/store"
)

// patience is how long Receive waits: only a test that fails anyway waits so long.
const patience = 30 * time.Second

// Main runs a package's tests and then stops the private database, for TestMain:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// A package that leaves it out loses nothing but a moment's tidiness: the server ends with the
// process either way. What comes after the tests, say the removal of what they share, is called
// before that.
func Main(m *testing.M, after ...func() error) {
	code := m.Run()
	for _, f := range after {
		if err := f(); err != nil {
			fmt.Fprintln(os.Stderr, "after the tests:", err)
		}
	}
	if err := stopServer(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the private database:", err)
	}
	if err := removeSandbox(); err != nil {
		fmt.Fprintln(os.Stderr, "remove sandboxd:", err)
	}
	os.Exit(code)
}

// Engines runs test once on SQLite and once on MySQL or MariaDB, as subtests named for the
// engine, each with the DSN of a fresh, migrated database that is dropped at the end. The test runs
// beside others that do (it calls t.Parallel, so it may call Engines once): it has nothing of the
// process to itself, and none of its limits on time is tight.
func Engines(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Parallel()
	EnginesAlone(t, test)
}

// EnginesAlone is Engines for a test beside which no other of its package may run: it measures the
// process, sets what all of it shares, or has been parallel already.
func EnginesAlone(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("mysql", func(t *testing.T) { test(t, MySQL(t)) })
}

// Store opens the database strictly (a transaction that takes locks out of order panics), with
// the migrations applied, and closes it at the end of the test. A nil clock stands at Start.
func Store(tb testing.TB, dsn string, clock *Clock) *store.Store {
	tb.Helper()
	if clock == nil {
		clock = NewClock()
	}
	s := Open(tb, store.Options{DSN: dsn, Now: clock.Now, Strict: true, Relaxed: true})
	if _, err := s.Migrate(tb.Context()); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	return s
}

// Open opens a store with options of its own, without migrating, and closes it at the end of
// the test.
func Open(tb testing.TB, o store.Options) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close store: %v", err)
		}
	})
	return s
}

// Events has the store tell what it commits, each transaction's events as one value, in the
// order in which the store told them. At most 1,000 wait.
func Events(s *store.Store) <-chan []models.Event {
	told := make(chan []models.Event, 1_000)
	s.OnCommit(func(events []models.Event) { told <- events })
	return told
}

// Receive takes the next value of a channel; the test fails when none comes.
func Receive[T any](tb testing.TB, from <-chan T) T {
	tb.Helper()
	patient := time.NewTimer(patience)
	defer patient.Stop()
	select {
	case v, ok := <-from:
		if !ok {
			tb.Fatal("the channel was closed, a value was expected")
		}
		return v
	case <-patient.C:
		tb.Fatalf("nothing came within %s", patience)
	}
	panic("unreachable")
}

// Nothing fails the test if a value waits in the channel.
func Nothing[T any](tb testing.TB, from <-chan T) {
	tb.Helper()
	select {
	case v, ok := <-from:
		if ok {
			tb.Fatalf("nothing was expected, %v came", v)
		}
	default:
	}
}
