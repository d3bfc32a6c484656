package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"
)

// Statement is one that the store ran, with its arguments.
type Statement struct {
	Text string
	Args []any
}

// Watched is View, of which every statement is also noted in seen before it runs.
func (s *Store) Watched(ctx context.Context, seen *[]Statement) *Reader {
	r := s.View(ctx)
	r.db.Statement.ConnPool = watchedPool{r.db.Statement.ConnPool, seen}
	return r
}

type watchedPool struct {
	gorm.ConnPool
	seen *[]Statement
}

func (p watchedPool) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	*p.seen = append(*p.seen, Statement{text, args})
	return p.ConnPool.QueryContext(ctx, text, args...)
}

// RowsRead is how many rows and index entries MySQL or MariaDB read for what fn reads by the
// store, and for the asking, which is some tens.
func (s *Store) RowsRead(ctx context.Context, fn func(context.Context)) (n int64, err error) {
	err = s.Snapshot(ctx, func(ctx context.Context) error {
		before, err := s.handlerReads(ctx)
		if err != nil {
			return err
		}
		fn(ctx)
		after, err := s.handlerReads(ctx)
		n = after - before
		return err
	})
	return n, err
}

func (s *Store) handlerReads(ctx context.Context) (sum int64, err error) {
	type row struct{ Value int64 }
	rows, err := scan[row](s.View(ctx), func(db *gorm.DB) *gorm.DB { return db.Raw("SHOW SESSION STATUS LIKE 'Handler_read_%'") })
	for _, r := range rows {
		sum += r.Value
	}
	return sum, err
}

// Run runs a statement as reads of the store run theirs, and reads its rows.
func (r *Reader) Run(statement string) error {
	return r.query(func(*sql.Rows) error { return nil }, statement)
}

// Run runs a statement as the transaction's others run.
func (tx *Tx) Run(statement string) error { return tx.exec(statement, nil) }

// KillOther has a session killed that is not there: of this number, and from another address.
func (s *Store) KillOther(ctx context.Context, id uint64) error {
	return s.killer.end(ctx, session{id: id, client: "192.0.2.1:1"})
}
