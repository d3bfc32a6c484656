package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// childEnv names the variable that makes this test binary open a database and wait.
const childEnv = "CLIENTELE_TEST_HOLD"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childEnv); dsn != "" {
		os.Exit(hold(dsn))
	}
	testkit.Main(m)
}

// hold is the second process of TestSQLiteServesOneProcess: it says that it has the database,
// and keeps it until its input ends.
func hold(dsn string) int {
	s, err := store.Open(context.Background(), store.Options{DSN: dsn})
	if err != nil {
		return 1
	}
	_, _ = os.Stdout.WriteString("open\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if s.Close() != nil {
		return 1
	}
	return 0
}

// Ensure a second process is kept out of an SQLite database, and let in when the first is gone.
func TestSQLiteServesOneProcess(t *testing.T) {
	dsn := testkit.SQLite(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dsn)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if s, err := store.Open(t.Context(), store.Options{DSN: dsn}); err == nil {
		_ = s.Close()
		t.Error("two processes opened one SQLite database")
	} else if !strings.Contains(err.Error(), "another process uses") {
		t.Errorf("the refusal says %q", err)
	}
	if err := errors.Join(in.Close(), child.Wait()); err != nil {
		t.Fatal(err)
	}
	testkit.Store(t, dsn, nil)
}

func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	for name, dsn := range map[string]string{
		"no DSN":             "",
		"not a DSN":          "%",
		"folder that is not": "sqlite:" + t.TempDir() + "/none/x.db",
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := store.Open(t.Context(), store.Options{DSN: dsn}); err == nil {
				_ = s.Close()
				t.Error("it was opened")
			}
		})
	}
}

// mustSQL is the pool that writes, for what the store has no call for.
func mustSQL(tb testing.TB, s *store.Store) *sql.DB {
	tb.Helper()
	db, err := s.SQL()
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// mustExec runs a statement as it is.
func mustExec(tb testing.TB, s *store.Store, statement string, args ...any) {
	tb.Helper()
	if _, err := mustSQL(tb, s).ExecContext(tb.Context(), statement, args...); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// mustCount counts rows of a table that satisfy a condition.
func mustCount(tb testing.TB, s *store.Store, from string, args ...any) int {
	tb.Helper()
	var n int
	if err := mustSQL(tb, s).QueryRowContext(tb.Context(), "SELECT COUNT(*) FROM "+from, args...).Scan(&n); err != nil {
		tb.Fatalf("count %s: %v", from, err)
	}
	return n
}

// emit makes a small event on a stream.
func emit(tx *store.Tx, stream models.Key) {
	tx.Emit(models.Event{Stream: stream, Kind: models.EventConversationChanged})
}

// keysOf is the keys of advisors.
func keysOf(rows []*models.Advisor) []models.Key {
	keys := make([]models.Key, len(rows))
	for i, r := range rows {
		keys[i] = r.Key
	}
	return keys
}
