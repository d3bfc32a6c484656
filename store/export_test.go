package store

import (
	"context"

	"gorm.io/gorm"
)

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
