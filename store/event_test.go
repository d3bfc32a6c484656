package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure the numbers of a stream have no holes and rise in commit order, whoever writes: when a
// number is told, every lower one can be read.
func TestStreamOrder(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const writers, rounds = 8, 15
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 3)
		log := s.Log()
		ctx := context.WithoutCancel(t.Context())
		s.OnCommit(func(events []models.Event) {
			last := events[len(events)-1]
			seen, err := log.Read(ctx, []models.StreamRange{{ID: last.ID(), UpTo: last.Seq}}, int(last.Seq))
			if err != nil || int64(len(seen)) != last.Seq {
				t.Errorf("%d of %d events can be read when the last is told, %v", len(seen), last.Seq, err)
			}
		})
		var failed atomic.Int64
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for r := range rounds {
					err := s.Write(ctx, store.System(), account.Key, func(tx *store.Tx) error {
						// Streams in an order of each writer's own: the store sorts the locks.
						for i := range advisors {
							emit(tx, advisors[(i+w)%len(advisors)].Key)
						}
						if r%5 == 4 {
							return errStop // what fails takes no number.
						}
						return nil
					})
					if err != nil {
						failed.Add(1)
					}
				}
			})
		}
		all.Wait()
		const wantFailed, want = writers * rounds / 5, writers * rounds * 4 / 5
		if failed.Load() != wantFailed {
			t.Errorf("%d transactions failed, want %d", failed.Load(), wantFailed)
		}
		for _, a := range advisors {
			id := models.StreamID{Account: account.Key, Stream: a.Key}
			heads, err := log.Heads(ctx, []models.StreamID{id})
			if err != nil || !slices.Equal(heads, []models.StreamHead{{ID: id, Head: want}}) {
				t.Errorf("heads %+v, %v; want %d", heads, err, want)
			}
			events, err := log.Read(ctx, []models.StreamRange{{ID: id, UpTo: want}}, want)
			if err != nil || len(events) != want {
				t.Fatalf("%d events, %v", len(events), err)
			}
			for i, e := range events {
				if e.Seq != int64(i+1) {
					t.Fatalf("event %d has number %d", i, e.Seq)
				}
			}
		}
	})
}

// Ensure a read gives the lowest numbers of each range, and nobody else's.
func TestLogRead(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		log := s.Log()
		var ids []models.StreamID
		for range 2 {
			account := testkit.Account(t, s)
			for _, a := range testkit.Advisors(t, s, account, 2) {
				ids = append(ids, models.StreamID{Account: account.Key, Stream: a.Key})
				testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
					for range 10 {
						emit(tx, a.Key)
					}
					return nil
				})
			}
		}
		none := models.StreamID{Account: ids[0].Account, Stream: ids[2].Stream} // another tenant's stream is none of this one.
		for _, tt := range []struct {
			name      string
			ranges    []models.StreamRange
			perStream int
			want      []int64
		}{
			{"nothing asked", nil, 10, nil},
			{"all", []models.StreamRange{{ID: ids[0], UpTo: 10}}, 10, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
			{"between", []models.StreamRange{{ID: ids[0], After: 3, UpTo: 5}}, 10, []int64{4, 5}},
			{"page", []models.StreamRange{{ID: ids[0], After: 3, UpTo: 10}}, 2, []int64{4, 5}},
			{"beyond", []models.StreamRange{{ID: ids[0], After: 9, UpTo: 99}}, 50, []int64{10}},
			{"of several", []models.StreamRange{{ID: ids[0], After: 8, UpTo: 10}, {ID: ids[3], After: 0, UpTo: 1}}, 10, []int64{9, 10, 1}},
			{"of another tenant", []models.StreamRange{{ID: none, UpTo: 10}}, 10, nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				events, err := log.Read(t.Context(), tt.ranges, tt.perStream)
				var got []int64
				for _, e := range events {
					got = append(got, e.Seq)
				}
				if err != nil || !slices.Equal(got, tt.want) {
					t.Errorf("numbers %v, %v; want %v", got, err, tt.want)
				}
			})
		}
		heads, err := log.Heads(t.Context(), append([]models.StreamID{none}, ids...))
		if err != nil || len(heads) != len(ids) {
			t.Errorf("heads %+v, %v", heads, err)
		}
		for _, h := range heads {
			if h.Head != 10 || h.Floor != 0 || !slices.Contains(ids, h.ID) {
				t.Errorf("head %+v", h)
			}
		}
		for id, want := range map[models.StreamID]int64{ids[0]: 10, none: 0} {
			if head, err := s.View(t.Context()).StreamHead(id); err != nil || head != (models.StreamHead{ID: id, Head: want}) {
				t.Errorf("StreamHead = %+v, %v; want %d", head, err, want)
			}
		}
	})
}

// Ensure the largest statement that the hub may ask for is one the engines take.
func TestLogReadIsBounded(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		ranges := make([]models.StreamRange, limits.StreamsPerRead)
		ids := make([]models.StreamID, limits.StreamsPerRead)
		for i := range ranges {
			ids[i] = models.StreamID{Account: models.NewKey(), Stream: models.NewKey()}
			ranges[i] = models.StreamRange{ID: ids[i], UpTo: limits.StreamPage}
		}
		var n atomic.Int64
		ctx := store.CountStatements(t.Context(), &n)
		if _, err := s.Log().Read(ctx, ranges, limits.StreamPage); err != nil {
			t.Error(err)
		}
		if _, err := s.Log().Heads(ctx, ids); err != nil {
			t.Error(err)
		}
		if n.Load() != 2 {
			t.Errorf("%d statements, want one each", n.Load())
		}
	})
}

// Ensure events cost three statements, however many there are and to however many streams.
func TestEventStatements(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, limits.BatchRows)
		for _, n := range []int{1, 2, limits.BatchRows} {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				var statements atomic.Int64
				err := s.Write(store.CountStatements(t.Context(), &statements), store.System(), account.Key, func(tx *store.Tx) error {
					for _, a := range advisors[:n] {
						emit(tx, a.Key)
					}
					return nil
				})
				if err != nil || statements.Load() != 3 {
					t.Errorf("%d statements, %v; want 3", statements.Load(), err)
				}
			})
		}
	})
}

// Ensure the heartbeat commits; and fails once when its connection was lost, as it is when the
// server restarts, because what was read before may be gone then.
func TestBarrier(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // its connections are killed below.
		log := s.Log()
		for range 2 {
			clock.Advance(limits.StreamPoll)
			if err := log.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s.IsEmbedded() {
			return
		}
		if n := mustCount(t, s, "node WHERE id = ? AND beat_at = ?", s.Node(), int64(clock.Time())); n != 1 {
			t.Errorf("%d heartbeats of this node at this time", n)
		}
		killOthers(t, s)
		if err := log.Barrier(t.Context()); err == nil {
			t.Error("a lost connection went unnoticed")
		}
		if err := log.Barrier(t.Context()); err != nil {
			t.Errorf("the next heartbeat: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := log.Barrier(gone); err == nil {
			t.Error("a heartbeat that was given up succeeded")
		}
		_ = log.Barrier(t.Context()) // a new connection may be due.
		if err := log.Barrier(t.Context()); err != nil {
			t.Errorf("the heartbeat does not come back: %v", err)
		}
	})
}

// Ensure that a restart is told to everyone who read before it, whoever noticed first.
func TestDurable(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // its connections are killed below.
		for range 2 {
			if err := s.Durable()(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s.IsEmbedded() {
			return
		}
		before, also := s.Durable(), s.Durable()
		killOthers(t, s)
		if err := before(t.Context()); err == nil {
			t.Error("a lost connection went unnoticed")
		}
		if err := s.Durable()(t.Context()); err != nil {
			t.Errorf("who read after it: %v", err)
		}
		if err := also(t.Context()); err == nil {
			t.Error("another who read before was not told")
		}
		if err := s.Log().Barrier(t.Context()); err == nil {
			t.Error("the hub was not told")
		}
		if err := s.Log().Barrier(t.Context()); err != nil {
			t.Errorf("the hub was told twice: %v", err)
		}
	})
}

// killOthers ends every connection to this test's database but the one that does it.
func killOthers(tb testing.TB, s *store.Store) {
	tb.Helper()
	conn, err := mustSQL(tb, s).Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	ids := mustStrings(tb, conn, "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
	for _, id := range ids {
		_, _ = conn.ExecContext(tb.Context(), "KILL "+id) // it may have ended by itself.
	}
	if len(ids) == 0 {
		tb.Fatal("nobody else is connected")
	}
}

// mustStrings is the one column of a query.
func mustStrings(tb testing.TB, db interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, query string, args ...any,
) []string {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query, args...)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			tb.Fatal(err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}
