package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// program is the path of the program as it ships, built once a process.
func program(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatalf("build the program: %v", err)
	}
	return filepath.Join(dir, "clientele")
}

// built makes the folder of the program, which removeBuilt takes away.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "clientele-program-"); err != nil {
		return "", err
	}
	removeBuilt = func() error { return os.RemoveAll(dir) }
	c := exec.Command("go", "build", "-o", dir, "clientele/cmd/clientele")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

var removeBuilt = func() error { return nil }

// restored runs the command and answers what it printed.
func restored(t *testing.T, program, dsn string) (output, faults string, err error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, "restored", "--db", dsn)
	var out, log strings.Builder
	c.Stdout, c.Stderr = &out, &log
	err = c.Run()
	return out.String(), log.String(), err
}

// Ensure the command changes the epoch, ends what is queued, says so, and may be run again; and
// that it refuses a database that is in use, where it can know that, or not migrated.
func TestRestoredCommand(t *testing.T) {
	binary := program(t)
	if out, faults, err := restored(t, binary, testkit.EmptySQLite(t)); err == nil || !strings.Contains(faults, "migrations are pending") {
		t.Errorf("a database without tables: %v\n%s%s", err, out, faults)
	}
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: clock.Now, Strict: true, Relaxed: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		// More customers than one page of them, in two accounts.
		messages := 0
		for _, n := range []int{limits.BatchRows + 1, 1} {
			account := testkit.Account(t, s)
			advisor := testkit.Advisors(t, s, account, 1)[0]
			for _, customer := range testkit.Customers(t, s, account.Key, n) {
				queue(t, s, account.Key, advisor.Key, customer)
				messages += 2
			}
		}
		before, err := s.Log().Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.IsEmbedded() {
			if out, faults, err := restored(t, binary, dsn); err == nil || !strings.Contains(faults, "another process uses") {
				t.Errorf("beside a process that uses the database: %v\n%s%s", err, out, faults)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for i, n := range []int{messages, 0} {
			want := fmt.Sprintf("%d queued messages of %d customers are UNKNOWN now.", n, n/2)
			out, faults, err := restored(t, binary, dsn)
			if err != nil || !strings.Contains(out, want) || !strings.Contains(out, "new epoch") || faults != "" {
				t.Fatalf("run %d: %v\n%s%s", i, err, out, faults)
			}
		}
		s = testkit.Open(t, store.Options{DSN: dsn})
		if after, err := s.Log().Epoch(t.Context()); err != nil || after == before {
			t.Errorf("the epoch is the same, %v", err)
		}
		db, err := s.SQL()
		if err != nil {
			t.Fatal(err)
		}
		var unknown, queued int
		err = db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM message WHERE status = 'UNKNOWN'),
			(SELECT COUNT(*) FROM delivery) + (SELECT COUNT(*) FROM outbox)`).Scan(&unknown, &queued)
		if err != nil || unknown != messages || queued != 0 {
			t.Errorf("%d of %d messages are UNKNOWN, %d rows of queues, %v", unknown, messages, queued, err)
		}
	})
}

// queue puts two messages into a customer's queue, the first of them in hand.
func queue(t *testing.T, s *store.Store, account, advisor, customer models.Key) {
	t.Helper()
	testkit.Write(t, s, account, func(tx *store.Tx) error {
		var messages []*models.Message
		var deliveries []*models.Delivery
		for _, state := range []models.DeliveryState{models.DeliveryClaimed, models.DeliveryWaiting} {
			m := &models.Message{
				AccountID: account, Key: models.NewKey(), CustomerID: customer, AdvisorID: advisor, Direction: models.FromAdvisor,
				Kind: models.ContentText, Text: "hello", Status: models.StatusQueued, At: tx.Now, StatusAt: tx.Now, CreatedAt: tx.Now,
			}
			messages = append(messages, m)
			deliveries = append(deliveries, &models.Delivery{AccountID: account, CustomerID: customer, MessageID: m.Key, State: state, CreatedAt: tx.Now})
		}
		if err := tx.Enqueue(deliveries...); err != nil {
			return err
		}
		return tx.InsertMessages(messages)
	})
}
