package store_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

var errStop = errors.New("stop")

// viewer is the actor of a mutation, who leaves a trace or nothing.
var viewer = store.Actor{Role: string(models.RoleAdmin), Subject: "someone", TokenID: "token", RequestID: "request"}

// Ensure events are told after the commit, in order, with the numbers that were written.
func TestWriteTells(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 2)
		told := make(chan []models.Event, 1)
		s.OnCommit(func(events []models.Event) {
			if n := mustCount(t, s, "event"); n != 3 {
				t.Errorf("%d events are committed when they are told", n)
			}
			told <- events
		})
		primed := &models.Primed{}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			clock.Advance(time.Hour) // an instant is a transaction's, not a statement's.
			emit(tx, advisors[1].Key)
			emit(tx, advisors[0].Key)
			tx.Emit(models.Event{Stream: advisors[1].Key, Kind: models.EventMessageReceived, Primed: primed})
			return nil
		})
		got := testkit.Receive(t, told)
		for i, want := range []struct {
			stream models.Key
			seq    int64
		}{{advisors[1].Key, 1}, {advisors[0].Key, 1}, {advisors[1].Key, 2}} {
			e := got[i]
			if e.Stream != want.stream || e.Seq != want.seq || e.Account != account.Key || e.At != models.At(testkit.Start) {
				t.Errorf("event %d is %+v", i, e)
			}
		}
		if primed.At != models.At(testkit.Start) || got[2].Primed != primed {
			t.Error("what was primed is not handed on with the transaction's instant")
		}
	})
}

// Ensure a transaction that fails leaves nothing and tells nobody.
func TestWriteFails(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisor := testkit.Advisors(t, s, account, 1)[0]
		told := testkit.Events(s)
		ctx, cancel := context.WithCancel(t.Context())
		for _, tt := range []struct {
			name  string
			ctx   context.Context
			actor store.Actor
			fn    func(tx *store.Tx) error
			want  string
		}{
			{"fn fails", t.Context(), store.System(), func(*store.Tx) error { return errStop }, errStop.Error()},
			{"no audit entry", t.Context(), viewer, func(*store.Tx) error { return nil }, "without an audit entry"},
			{"no stream", t.Context(), store.System(), func(tx *store.Tx) error { emit(tx, models.NewKey()); return nil }, "no stream"},
			{"caller is gone", ctx, store.System(), func(*store.Tx) error { cancel(); return nil }, "cancel"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				err := s.Write(tt.ctx, tt.actor, account.Key, func(tx *store.Tx) error {
					emit(tx, advisor.Key)
					if err := tx.InsertGroup(group(account.Key, tt.name)); err != nil {
						return err
					}
					return tt.fn(tx)
				})
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Write = %v, want %q", err, tt.want)
				}
				testkit.Nothing(t, told)
				if n := mustCount(t, s, "advisor_group") + mustCount(t, s, "event"); n != 0 {
					t.Errorf("%d rows are left", n)
				}
			})
		}
		t.Run("fn panics", func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
				testkit.Write(t, s, account.Key, func(tx *store.Tx) error { emit(tx, advisor.Key); return nil })
				if e := testkit.Receive(t, told); e[0].Seq != 1 {
					t.Errorf("the first event that was committed has number %d", e[0].Seq)
				}
			}()
			_ = s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
				emit(tx, advisor.Key)
				panic("planted")
			})
		})
	})
}

// Ensure a COMMIT that the engine refuses is an error, tells nobody, and leaves the connection
// fit for the next transaction.
func TestCommitFails(t *testing.T) {
	s := testkit.Store(t, testkit.SQLite(t), nil)
	account := testkit.Account(t, s)
	advisor := testkit.Advisors(t, s, account, 1)[0]
	told := testkit.Events(s)
	// A deferred reference is checked at COMMIT; the trigger breaks one with every event.
	for _, statement := range []string{
		"PRAGMA foreign_keys = ON",
		"CREATE TABLE parent (id INTEGER PRIMARY KEY)",
		"CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
		"CREATE TRIGGER planted AFTER INSERT ON event BEGIN INSERT INTO child VALUES (1); END",
	} {
		mustExec(t, s, statement)
	}
	write := func() error {
		return s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error { emit(tx, advisor.Key); return nil })
	}
	if err := write(); err == nil || !strings.HasPrefix(err.Error(), "commit: ") {
		t.Fatalf("Write = %v, want the error of COMMIT", err)
	}
	testkit.Nothing(t, told)
	mustExec(t, s, "DROP TRIGGER planted")
	if err := write(); err != nil {
		t.Fatalf("Write after a failed commit: %v", err)
	}
	if e := testkit.Receive(t, told); e[0].Seq != 1 {
		t.Errorf("number %d was given", e[0].Seq)
	}
}

// Ensure nobody takes a connection lost at COMMIT for a failure: it may have happened.
func TestConnectionLostAtCommit(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	attempts := 0
	err := s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
		attempts++
		if err := tx.InsertGroup(group(account.Key, "lost")); err != nil {
			return err
		}
		mustExec(t, s, "KILL "+connectionOf(t, s))
		return nil
	})
	if !errors.Is(err, store.ErrUnknownOutcome) || attempts != 1 {
		t.Errorf("Write = %v after %d attempts, want ErrUnknownOutcome after one", err, attempts)
	}
}

// connectionOf is the id of the connection that holds a transaction on this test's database.
func connectionOf(tb testing.TB, s *store.Store) string {
	tb.Helper()
	var id string
	err := mustSQL(tb, s).QueryRowContext(tb.Context(), `SELECT p.id FROM information_schema.innodb_trx t
		JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND t.trx_rows_modified > 0`).Scan(&id)
	if err != nil {
		tb.Fatalf("find the transaction: %v", err)
	}
	return id
}

// Ensure a mutation is in the audit log with who made it, or says that its rows are its record.
func TestAudit(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		target := models.NewKey()
		err := s.Write(t.Context(), viewer, account.Key, func(tx *store.Tx) error {
			return tx.Audit(store.Change{
				Action: "updateAccountSettings", TargetKind: "account", Target: target,
				Before: map[string]any{"name": "a"}, After: map[string]any{"name": "b"},
			}, store.Change{Action: "closeAccount"})
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := mustCount(t, s, `audit WHERE account_id = ? AND role = 'ADMIN' AND subject = 'someone' AND token_id = 'token'
			AND request_id = 'request' AND at = ?`, account.Key, int64(s.Now())); n != 2 {
			t.Errorf("%d entries of the viewer", n)
		}
		if n := mustCount(t, s, `audit WHERE target_id = ? AND before_json = '{"name":"a"}' AND after_json = '{"name":"b"}'`, target); n != 1 {
			t.Errorf("%d entries of the change", n)
		}
		if n := mustCount(t, s, `audit WHERE target_id IS NULL AND before_json = '' AND after_json = ''`); n != 1 {
			t.Errorf("%d entries without a target", n)
		}
		if err := s.Write(t.Context(), viewer, account.Key, func(tx *store.Tx) error { tx.OwnRecord(); return nil }); err != nil {
			t.Errorf("rows that are their own record: %v", err)
		}
		testkit.Write(t, s, account.Key, func(*store.Tx) error { return nil })
	})
}

// Ensure what the engines refuse is told apart, and told alike.
func TestErrors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 2)
		for _, tt := range []struct {
			name string
			fn   func(tx *store.Tx) error
			want error
		}{
			{"name taken", func(tx *store.Tx) error {
				if err := tx.InsertGroup(group(account.Key, "x")); err != nil {
					return err
				}
				return tx.InsertGroup(group(account.Key, "x"))
			}, store.ErrDuplicate},
			{"key taken", func(tx *store.Tx) error { return tx.InsertAccount(account) }, store.ErrDuplicate},
			{"identifier taken by an update", func(tx *store.Tx) error {
				rows, err := tx.LockAdvisors([]models.Key{advisors[0].Key})
				if err != nil {
					return err
				}
				rows[0].OpenID = advisors[1].OpenID
				return tx.UpdateAdvisors(rows, "openid")
			}, store.ErrDuplicate},
			{"one customer too many", func(tx *store.Tx) error { return setCount(tx, advisors[0], limits.CustomersPerAdvisor+1) }, store.ErrCheck},
			{"as many as may be", func(tx *store.Tx) error { return setCount(tx, advisors[0], limits.CustomersPerAdvisor) }, nil},
			{"fewer than none", func(tx *store.Tx) error { return setCount(tx, advisors[0], -1) }, store.ErrCheck},
			{"no state at all", func(tx *store.Tx) error {
				rows, err := tx.LockAdvisors([]models.Key{advisors[0].Key})
				if err != nil {
					return err
				}
				rows[0].Stored = "BOGUS"
				return tx.UpdateAdvisors(rows, "state")
			}, store.ErrCheck},
			{"no such row", func(tx *store.Tx) error { _, err := tx.Reader.Account(models.NewKey()); return err }, store.ErrNotFound},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if err := s.Write(t.Context(), store.System(), account.Key, tt.fn); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			})
		}
		rows, err := s.View(t.Context()).Advisors(account.Key, []models.Key{advisors[0].Key})
		if err != nil || rows[0].CustomerCount != limits.CustomersPerAdvisor || rows[0].Stored != models.AdvisorActive || rows[0].OpenID != advisors[0].OpenID {
			t.Errorf("the advisor is %+v, %v", rows[0], err)
		}
	})
}

func setCount(tx *store.Tx, a *models.Advisor, n int) error {
	rows, err := tx.LockAdvisors([]models.Key{a.Key})
	if err != nil {
		return err
	}
	rows[0].CustomerCount = n
	return tx.UpdateAdvisors(rows, "customer_count")
}

func group(account models.Key, name string) *models.Group {
	return &models.Group{AccountID: account, Key: models.NewKey(), Name: name, FoldedName: name}
}

// Ensure a transaction that goes back in the order of locks is stopped in tests and logged
// elsewhere.
func TestPhases(t *testing.T) {
	back := func(key models.Key) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			if _, err := tx.LockAdvisors([]models.Key{key}); err != nil {
				return err
			}
			_, _, err := tx.LockCustomers([]models.Key{key})
			return err
		}
	}
	t.Run("strict", func(t *testing.T) {
		s := testkit.Store(t, testkit.SQLite(t), nil)
		defer func() {
			if text, ok := recover().(string); !ok || !strings.Contains(text, "went back") {
				t.Errorf("recovered %q", text)
			}
		}()
		_ = s.Write(t.Context(), store.System(), models.NewKey(), back(models.NewKey()))
		t.Error("it went on")
	})
	t.Run("in production", func(t *testing.T) {
		var log strings.Builder
		s := testkit.Open(t, store.Options{DSN: testkit.SQLite(t), Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err := s.Write(t.Context(), store.System(), models.NewKey(), back(models.NewKey())); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "went back from lock phase") {
			t.Errorf("the log says %q", log.String())
		}
	})
	t.Run("forwards", func(t *testing.T) {
		s := testkit.Store(t, testkit.SQLite(t), nil)
		account := testkit.Account(t, s)
		advisor := testkit.Advisors(t, s, account, 1)[0]
		keys := []models.Key{advisor.Key}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			_, err := tx.LockAccount()
			errs := []error{err}
			_, err = tx.LockGroups(keys)
			errs = append(errs, err)
			_, _, err = tx.LockCustomers(keys)
			errs = append(errs, err)
			_, err = tx.LockConversations(keys)
			errs = append(errs, err)
			_, err = tx.LockAdvisors(keys)
			errs = append(errs, err, tx.InsertGroup(group(account.Key, "g")))
			emit(tx, advisor.Key)
			return errors.Join(errs...)
		})
	})
}

// Ensure two transactions that wait for each other both happen: the engine ends one, which
// starts anew.
func TestDeadlockIsRetried(t *testing.T) {
	s := testkit.Open(t, store.Options{DSN: testkit.MySQL(t), Log: slog.New(slog.DiscardHandler)}) // not strict: the order is wrong on purpose.
	account := testkit.Account(t, s)
	keys := testkit.Customers(t, s, account.Key, 2)
	var attempts atomic.Int64
	// Each first try takes one lock and then waits until the other has its own.
	var both sync.WaitGroup
	both.Add(2)
	write := func(first, second models.Key) error {
		tries := 0
		return s.Write(context.WithoutCancel(t.Context()), store.System(), account.Key, func(tx *store.Tx) error {
			tries++
			attempts.Add(1)
			if _, _, err := tx.LockCustomers([]models.Key{first}); err != nil {
				return err
			}
			if tries == 1 {
				both.Done()
				both.Wait()
			}
			if _, _, err := tx.LockCustomers([]models.Key{second}); err != nil {
				return err
			}
			return tx.InsertGroup(group(account.Key, first.String()))
		})
	}
	done := make(chan error, 2)
	go func() { done <- write(keys[0], keys[1]) }()
	go func() { done <- write(keys[1], keys[0]) }()
	for range 2 {
		if err := testkit.Receive(t, done); err != nil {
			t.Error(err)
		}
	}
	if n := attempts.Load(); n != 3 {
		t.Errorf("%d attempts, want 3: one transaction was to be undone, once", n)
	}
	if n := mustCount(t, s, "advisor_group"); n != 2 {
		t.Errorf("%d of two transactions left their row", n)
	}
}

// Ensure retrying is bounded, by number and by the caller's patience, and says UNAVAILABLE.
func TestRetryIsBounded(t *testing.T) {
	s := testkit.Store(t, testkit.SQLite(t), nil)
	account := testkit.Account(t, s)
	attempts := 0
	busy := func(*store.Tx) error { attempts++; return &driver.MySQLError{Number: 1213} }
	err := s.Write(t.Context(), store.System(), account.Key, busy)
	if models.CodeOf(err) != models.CodeUnavailable || attempts != limits.WriteAttempts {
		t.Errorf("%v after %d attempts", err, attempts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	attempts = 0
	err = s.Write(ctx, store.System(), account.Key, func(tx *store.Tx) error { cancel(); return busy(tx) })
	if models.CodeOf(err) != models.CodeUnavailable || attempts != 1 {
		t.Errorf("%v after %d attempts of a caller who is gone", err, attempts)
	}
	for _, number := range []uint16{1205, 1020} {
		attempts = 0
		err := s.Write(t.Context(), store.System(), account.Key, func(*store.Tx) error {
			if attempts++; attempts < 3 {
				return &driver.MySQLError{Number: number}
			}
			return nil
		})
		if err != nil || attempts != 3 {
			t.Errorf("%d: %v after %d attempts", number, err, attempts)
		}
	}
	attempts = 0
	err = s.Write(t.Context(), store.System(), account.Key, func(*store.Tx) error { attempts++; return &driver.MySQLError{Number: 1146} })
	if err == nil || attempts != 1 {
		t.Errorf("%v after %d attempts: what never passes was tried again", err, attempts)
	}
}

// Ensure who waits for a row gets it when it is free, and sees what the other wrote.
func TestLockWaits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisor := testkit.Advisors(t, s, account, 1)[0]
		const writers, rounds = 4, 10
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				for range rounds {
					err := s.Write(context.WithoutCancel(t.Context()), store.System(), account.Key, func(tx *store.Tx) error {
						rows, err := tx.LockAdvisors([]models.Key{advisor.Key})
						if err != nil {
							return err
						}
						rows[0].CustomerCount++
						return tx.UpdateAdvisors(rows, "customer_count")
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		rows, err := s.View(t.Context()).Advisors(account.Key, []models.Key{advisor.Key})
		if err != nil || rows[0].CustomerCount != writers*rounds {
			t.Errorf("%d of %d additions are left, %v", rows[0].CustomerCount, writers*rounds, err)
		}
	})
}
