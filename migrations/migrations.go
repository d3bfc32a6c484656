// Package migrations holds the schema of the database as numbered SQL, one folder per dialect
// with equal numbers and names, embedded into the binary. A released file is never edited.
// A MySQL file holds one DDL statement, since each commits by itself.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed mysql/*.sql sqlite/*.sql
var files embed.FS

// Dialect is a folder of this package.
type Dialect string

// The dialects.
const (
	MySQL  Dialect = "mysql"
	SQLite Dialect = "sqlite"
)

// Binary is the number of this binary for schema_info.min_binary: a database whose schema
// demands a larger one is refused.
const Binary = 1

// ErrTooNew is returned by Check when a newer release has contracted the schema.
var ErrTooNew = errors.New("the database needs a newer release of clientele")

// Status is one migration and when it was applied; the zero time means it is pending.
type Status struct {
	Version   int64
	Name      string
	AppliedAt time.Time
}

// Files is the migrations of one dialect.
func Files(d Dialect) (fs.FS, error) { return fs.Sub(files, string(d)) }

// Up applies what is pending and answers how many that were. On MySQL and MariaDB a named
// lock makes nodes that start together take turns.
func Up(ctx context.Context, d Dialect, db *sql.DB) (int, error) {
	if d == MySQL {
		conn, err := db.Conn(ctx)
		if err != nil {
			return 0, fmt.Errorf("migrate: %w", err)
		}
		defer conn.Close()
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK('clientele_migrate', 60)").Scan(&got); err != nil {
			return 0, fmt.Errorf("migrate: %w", err)
		}
		if got.Int64 != 1 {
			return 0, errors.New("migrate: another node has been migrating for a minute")
		}
		defer conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK('clientele_migrate')") //nolint:errcheck // ends with the connection anyway.
	}
	p, err := provider(d, db)
	if err != nil {
		return 0, err
	}
	done, err := p.Up(ctx)
	if err != nil {
		return len(done), fmt.Errorf("migrate: %w", err)
	}
	return len(done), nil
}

// List tells of every migration whether it was applied.
func List(ctx context.Context, d Dialect, db *sql.DB) ([]Status, error) {
	p, err := provider(d, db)
	if err != nil {
		return nil, err
	}
	all, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	list := make([]Status, len(all))
	for i, s := range all {
		list[i] = Status{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt}
	}
	return list, nil
}

// Pending reports whether migrations wait to be applied.
func Pending(ctx context.Context, d Dialect, db *sql.DB) (bool, error) {
	p, err := provider(d, db)
	if err != nil {
		return false, err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return false, fmt.Errorf("migrate: %w", err)
	}
	return pending, nil
}

// Check refuses a database that needs a newer binary. The schema of a newer release that has
// only expanded it is fine.
func Check(ctx context.Context, db *sql.DB) error {
	var need int
	if err := db.QueryRowContext(ctx, "SELECT min_binary FROM schema_info WHERE id = 1").Scan(&need); err != nil {
		return fmt.Errorf("read schema_info: %w", err)
	}
	if need > Binary {
		return fmt.Errorf("%w: it needs %d, this is %d", ErrTooNew, need, Binary)
	}
	return nil
}

func provider(d Dialect, db *sql.DB) (*goose.Provider, error) {
	dir, err := Files(d)
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectMySQL
	if d == SQLite {
		dialect = goose.DialectSQLite3
	}
	p, err := goose.NewProvider(dialect, db, dir)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return p, nil
}
