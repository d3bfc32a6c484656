// Package store is the only package that imports gorm: it opens the database, runs
// transactions and holds the queries, one file per noun. It decides no permission and no rule;
// it keeps the order of locks, the event log and the differences between the engines.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"clientele/migrations"
	"clientele/models"
)

// Options say how a store is opened.
type Options struct {
	// DSN is `sqlite:PATH`, or a MySQL DSN `user:password@tcp(host:port)/database`.
	DSN string
	// Now is the clock; nil: time.Now. One transaction sees one instant.
	Now func() time.Time
	// Log takes faults; nil: slog.Default. It is given ids, never texts.
	Log *slog.Logger
	// Connections is the most connections to MySQL for writing, and as many for reading; 0: 32.
	Connections int
	// Idle is how many of them are kept while idle; 0: all.
	Idle int
	// ConnLife is how long one is used before a new one replaces it; 0: for ever.
	ConnLife time.Duration
	// StatementTime is how long a statement that reads may run on MySQL, whoever waits for it: a net under the contexts
	// that end statements long before; 0: limits.StatementTime. The DSN may say another (max_statement_time of MariaDB,
	// max_execution_time of MySQL).
	StatementTime time.Duration
	// Strict makes a transaction that takes its locks out of order panic; tests set it. Without
	// it the fault is logged.
	Strict bool
	// Relaxed lets SQLite leave syncing to the operating system: only for tests, which do not
	// pull the plug.
	Relaxed bool
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect migrations.Dialect
	write   *gorm.DB
	read    *gorm.DB
	access  *gorm.DB
	killer  *killer // nil on SQLite
	now     func() time.Time
	log     *slog.Logger
	strict  bool
	node    models.Key
	unlock  func() error
	heart   heartbeat

	committed atomic.Pointer[func([]models.Event)]
	// waiting is told that events of accounts wait for their numbers.
	waiting  atomic.Pointer[func()]
	sabotage sabotage // nothing in what is shipped
}

// Open connects, and for SQLite takes the lock file that keeps a second process out. It does
// not migrate.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Connections == 0 {
		o.Connections = 32
	}
	s := &Store{now: o.Now, log: o.Log, strict: o.Strict, node: models.NewKey(), unlock: func() error { return nil }}
	open := s.openMySQL
	if path, ok := sqlitePath(o.DSN); ok {
		o.DSN, open = path, s.openSQLite
	}
	if err := open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() error {
	s.heart.mu.Lock()
	s.heart.close()
	s.heart.mu.Unlock()
	var errs []error
	for _, db := range []*gorm.DB{s.write, s.read, s.access} {
		if db == nil {
			continue
		}
		if pool, err := db.DB(); err == nil {
			errs = append(errs, pool.Close())
		}
	}
	if s.killer != nil {
		errs = append(errs, s.killer.Close())
	}
	return errors.Join(append(errs, s.unlock())...)
}

// Migrate applies pending migrations, makes the epoch of a new event log, and folds the texts that an
// earlier release wrote.
func (s *Store) Migrate(ctx context.Context) (int, error) {
	pool, err := s.write.DB()
	if err != nil {
		return 0, err
	}
	n, err := migrations.Up(ctx, s.dialect, pool)
	if err != nil {
		return n, err
	}
	if err := s.ensureEpoch(ctx); err != nil || n == 0 {
		return n, err
	}
	_, err = s.FoldCustomers(ctx)
	return n, err
}

// Migrations tells which migrations were applied.
func (s *Store) Migrations(ctx context.Context) ([]migrations.Status, error) {
	pool, err := s.write.DB()
	if err != nil {
		return nil, err
	}
	return migrations.List(ctx, s.dialect, pool)
}

// Ready reports why the database cannot serve: unreachable, pending migrations, or a schema
// that needs a newer binary.
func (s *Store) Ready(ctx context.Context) error {
	pool, err := s.write.DB()
	if err != nil {
		return err
	}
	if err := pool.PingContext(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	pending, err := migrations.Pending(ctx, s.dialect, pool)
	if err != nil {
		return err
	}
	if pending {
		return errors.New("migrations are pending; run `clientele migrate up`")
	}
	return migrations.Check(ctx, pool)
}

// OnCommit sets who is told of committed events: called after COMMIT has returned, by the
// goroutine that wrote, with the events in order.
func (s *Store) OnCommit(f func([]models.Event)) { s.committed.Store(&f) }

// Now is the clock's instant.
func (s *Store) Now() models.Time { return models.At(s.now()) }

// Node is this process's key among the nodes of the cluster.
func (s *Store) Node() models.Key { return s.node }

// IsEmbedded reports whether the engine is the embedded SQLite, which serves one process.
func (s *Store) IsEmbedded() bool { return s.dialect == migrations.SQLite }

// SQL is the pool that writes, for tests and tools that look at the tables themselves.
func (s *Store) SQL() (*sql.DB, error) { return s.write.DB() }
