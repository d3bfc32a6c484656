package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// Reader reads. Each statement of one that View gave stands by itself; those of one that Read
// gave, and of every Reader inside Snapshot, see one state of the database.
type Reader struct {
	db    *gorm.DB
	store *Store
	// turns makes the statements of a snapshot's one connection take turns; nil elsewhere.
	turns *sync.Mutex
}

type snapshotKey struct{}

// View is a Reader whose statements stand by themselves, or the snapshot of ctx.
func (s *Store) View(ctx context.Context) *Reader {
	if r, ok := ctx.Value(snapshotKey{}).(*Reader); ok {
		return &Reader{db: r.db.WithContext(ctx), store: s, turns: r.turns}
	}
	return &Reader{db: s.read.WithContext(ctx), store: s}
}

// InSnapshot reports whether what ctx reads is a snapshot.
func (s *Store) InSnapshot(ctx context.Context) bool {
	_, ok := ctx.Value(snapshotKey{}).(*Reader)
	return ok
}

// Read runs fn on one consistent state of the database.
func (s *Store) Read(ctx context.Context, fn func(*Reader) error) error {
	return s.Snapshot(ctx, func(ctx context.Context) error { return fn(s.View(ctx)) })
}

// Snapshot runs fn with a context in which every read of this store sees one state, on one
// connection; inside another Snapshot it is the same one. Reads in it may come from several
// goroutines.
func (s *Store) Snapshot(ctx context.Context, fn func(ctx context.Context) error) error {
	if _, ok := ctx.Value(snapshotKey{}).(*Reader); ok {
		return fn(ctx)
	}
	tx := s.read.WithContext(ctx).Begin(&sql.TxOptions{ReadOnly: !s.IsEmbedded()})
	if tx.Error != nil {
		return fmt.Errorf("begin snapshot: %w", translate(tx.Error))
	}
	defer tx.Rollback()
	return fn(context.WithValue(ctx, snapshotKey{}, &Reader{db: tx, store: s, turns: &sync.Mutex{}}))
}

func (r *Reader) lock() func() {
	if r.turns == nil {
		return func() {}
	}
	r.turns.Lock()
	return r.turns.Unlock
}

// first reads one row, ErrNotFound when there is none.
func first[T any](r *Reader, build func(*gorm.DB) *gorm.DB) (*T, error) {
	rows, err := find[T](r, func(db *gorm.DB) *gorm.DB { return build(db).Limit(1) })
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	return rows[0], nil
}

// scan reads columns into rows of another shape.
func scan[T any](r *Reader, build func(*gorm.DB) *gorm.DB) ([]T, error) {
	defer r.lock()()
	var rows []T
	if err := build(r.db).Scan(&rows).Error; err != nil {
		return nil, translate(err)
	}
	return rows, nil
}

// byKeys reads the rows of an account with these keys, in key order; unknown ones are left out.
func byKeys[T any](r *Reader, account models.Key, column string, keys []models.Key) ([]*T, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return ask[T](r, "SELECT * FROM `"+tableOf[T]().name+"` WHERE account_id = ? AND "+column+" IN ("+marks(len(keys))+") ORDER BY "+column,
		keyArgs(account, keys)...)
}

// keyset adds the condition and order of a page that goes downwards by (sort, key).
func keyset(db *gorm.DB, p relay.Page, sort, key string) *gorm.DB {
	if p.After != nil {
		k := models.Key(p.After.Key)
		db = db.Where("("+sort+" < ? OR "+sort+" = ? AND "+key+" < ?)", p.After.Sort, p.After.Sort, k)
	}
	return db.Order(sort + " DESC, " + key + " DESC").Limit(p.First + 1)
}

// by has a table read along an index, whatever the optimizer would like better: one that it takes for the
// order of a page may have it walk through all rows of the account. "": by none.
func (r *Reader) by(index string) string {
	switch {
	case index == "":
		return ""
	case r.store.IsEmbedded():
		return " INDEXED BY " + index
	}
	return " FORCE INDEX (" + index + ")"
}
