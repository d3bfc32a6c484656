package testkit_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// Ensure every test starts on a migrated database that nobody else writes to.
func TestEngines(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		testkit.EnginesAlone(t, func(t *testing.T, dsn string) {
			if seen[dsn] {
				t.Fatal("two tests got one database")
			}
			seen[dsn] = true
			s := testkit.Open(t, store.Options{DSN: dsn, Relaxed: true})
			if err := s.Ready(t.Context()); err != nil {
				t.Fatalf("the copy is not ready: %v", err)
			}
			if n, err := s.Migrate(t.Context()); err != nil || n != 0 {
				t.Fatalf("Migrate = %d, %v; want nothing to do", n, err)
			}
			account := testkit.Account(t, s)
			testkit.Advisors(t, s, account, 2)
			testkit.Customers(t, s, account.Key, 2)
			db, err := s.SQL()
			if err != nil {
				t.Fatal(err)
			}
			for table, want := range map[string]int{"account": 1, "advisor": 2, "customer": 2, "log_epoch": 1} {
				var n int
				if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil || n != want {
					t.Errorf("%s has %d rows, %v; want %d", table, n, err, want)
				}
			}
		})
	}
}

// Ensure two logs never share an epoch because their databases were copied from one.
func TestEpochIsNotCopied(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		other := testkit.SQLite(t)
		if !strings.HasPrefix(dsn, "sqlite:") {
			other = testkit.MySQL(t)
		}
		a, err := testkit.Store(t, dsn, nil).Log().Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := testkit.Store(t, other, nil).Log().Epoch(t.Context()); err != nil || a == b {
			t.Fatalf("epochs %x and %x, %v", a, b, err)
		}
	})
}

// Ensure a private server leaves nothing behind.
func TestServerStops(t *testing.T) {
	t.Setenv("TMPDIR", shortTemp(t))
	server, err := testkit.StartServer(t.Context())
	if errors.Is(err, testkit.ErrNoServer) {
		if os.Getenv(testkit.MySQLEnv) != "" {
			t.Skip("no server is installed here; the one that was named is not ours to stop")
		}
		testkit.Missing(t, testkit.NeedMySQL, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(server.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder %s is left, %v", server.Dir, err)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if err != nil || len(left) > 0 {
		t.Fatalf("%v is left, %v", left, err)
	}
}

// shortTemp is a folder whose name leaves room for a socket's.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ct") //nolint:usetesting // as said.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return dir
}

func TestClock(t *testing.T) {
	c := testkit.NewClock()
	if !c.Now().Equal(testkit.Start) {
		t.Fatalf("the clock begins at %s", c.Now())
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				c.Advance(time.Second)
				_ = c.Now()
			}
		})
	}
	all.Wait()
	if want := models.At(testkit.Start.Add(800 * time.Second)); c.Time() != want {
		t.Fatalf("the clock stands at %d, want %d", c.Time(), want)
	}
	c.Set(testkit.Start)
	if c.Time() != models.At(testkit.Start) {
		t.Fatal("the clock was not set back")
	}
}

func TestReceive(t *testing.T) {
	ch := make(chan int, 1)
	testkit.Nothing(t, ch)
	ch <- 7
	if got := testkit.Receive(t, ch); got != 7 {
		t.Fatalf("received %d", got)
	}
	testkit.Nothing(t, ch)
}

// Ensure the gaps that continuous integration closes are failures there.
func TestRequired(t *testing.T) {
	t.Setenv(testkit.RequireEnv, "mysql,node")
	for need, want := range map[testkit.Need]bool{testkit.NeedMySQL: true, testkit.NeedNode: true, testkit.NeedChromium: false} {
		if need.IsRequired() != want {
			t.Errorf("%s is required: %t", need, !want)
		}
	}
}
