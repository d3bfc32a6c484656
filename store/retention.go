package store

import (
	"context"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// OldStream is where a stream's events begin.
type OldStream struct {
	Key   models.Key  `gorm:"column:id"`
	Head  int64       `gorm:"column:head"`
	Floor int64       `gorm:"column:floor_seq"`
	First int64       `gorm:"column:first_seq"` // the number of its oldest event; 0 without any
	At    models.Time `gorm:"column:first_at"`  // when that one happened
}

// AccountKeys reads the keys of accounts behind `after`, in order. It is an exception to "every
// query takes the account": what is deleted for its age is looked for in one account after the
// other.
func (r *Reader) AccountKeys(after models.Key, most int) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return behind(db.Model(&models.Account{}).Select("id"), after).Order("id").Limit(most)
	})
}

// Accounts reads accounts behind `after`, in the order of their keys: an exception as AccountKeys is.
func (r *Reader) Accounts(after models.Key, most int) ([]*models.Account, error) {
	return find[models.Account](r, func(db *gorm.DB) *gorm.DB { return behind(db, after).Order("id").Limit(most) })
}

// behind leaves the keys up to `after` out; none when that is zero.
func behind(db *gorm.DB, after models.Key) *gorm.DB {
	if after.IsZero() {
		return db
	}
	return db.Where("id > ?", after)
}

// StreamBeginnings reads where the streams of an account behind `after` begin, in order: one look
// at an index for each, so that no page of the log is read through.
func (r *Reader) StreamBeginnings(account, after models.Key, most int) ([]OldStream, error) {
	const first = "(SELECT %s FROM event WHERE event.account_id = stream.account_id AND event.stream_id = stream.id ORDER BY event.seq LIMIT 1)"
	return scan[OldStream](r, func(db *gorm.DB) *gorm.DB {
		db = db.Model(&models.Stream{}).Select("id, head, floor_seq, COALESCE(" + strings.Replace(first, "%s", "event.seq", 1) + ", 0) AS first_seq, " +
			"COALESCE(" + strings.Replace(first, "%s", "event.at", 1) + ", 0) AS first_at")
		return behind(db.Where("account_id = ?", account), after).Order("id").Limit(most)
	})
}

// RaiseFloors raises the floors of streams, never lowers one and never passes a head. Who writes
// to one of the streams waits for this transaction: it must do nothing else. Two statements.
func (tx *Tx) RaiseFloors(floors map[models.Key]int64) error {
	keys := make([]models.Key, 0, len(floors))
	for k := range floors {
		keys = append(keys, k)
	}
	rows, err := locked[models.Stream](tx, phaseStreams, "id", keys)
	if err != nil {
		return err
	}
	raised := rows[:0]
	for _, s := range rows {
		if to := min(floors[s.Key], s.Head); to > s.Floor {
			s.Floor = to
			raised = append(raised, s)
		}
	}
	return upsert(tx, raised, "floor_seq")
}

// DeleteEvents deletes the events of ranges that stand below their stream's floor already, one
// statement a range. It locks these rows and nothing else: no counter row, and, since sessions
// run with READ COMMITTED, no gap that a writer would put its events into.
func (tx *Tx) DeleteEvents(ranges []models.StreamRange) error {
	tx.enter(phaseRows)
	for _, r := range ranges {
		err := tx.db.Where("account_id = ? AND stream_id = ? AND seq > ? AND seq <= ?", tx.Account, r.ID.Stream, r.After, r.UpTo).
			Delete(&models.Event{}).Error
		if err != nil {
			return translate(err)
		}
	}
	return nil
}

// OldIdempotency reads the keys, of any account, of calls from before an instant, the oldest first.
func (r *Reader) OldIdempotency(before models.Time, most int) ([]*models.Idempotency, error) {
	return find[models.Idempotency](r, func(db *gorm.DB) *gorm.DB {
		return db.Select("account_id", "subject", "idem_key", "created_at").Where("created_at < ?", before).Order("created_at").Limit(most)
	})
}

// DeleteIdempotency deletes idempotency keys of the account.
func (tx *Tx) DeleteIdempotency(rows []*models.Idempotency) error {
	return deleteRows[models.Idempotency](tx, "subject = ? AND idem_key = ? AND created_at = ?", rows, func(r *models.Idempotency) []any {
		return []any{r.Subject, r.IdemKey, r.CreatedAt}
	})
}

// OldInbound reads the keys, of any account, of inbound items of a kind recorded before an
// instant, the oldest first. Records of a scan with its outcome are no part of it (rule C2).
func (r *Reader) OldInbound(kind models.InboundKind, before models.Time, most int) ([]*models.InboundRecord, error) {
	return find[models.InboundRecord](r, func(db *gorm.DB) *gorm.DB {
		return db.Select("account_id", "dedup_key", "created_at").Where("kind = ? AND outcome = '' AND created_at < ?", kind, before).Order("created_at").Limit(most)
	})
}

// DeleteInbound deletes records of inbound items of the account, as they were read: one that was
// deleted and made anew meanwhile stays.
func (tx *Tx) DeleteInbound(rows []*models.InboundRecord) error {
	return deleteRows[models.InboundRecord](tx, "dedup_key = ? AND created_at = ?", rows, func(r *models.InboundRecord) []any {
		return []any{r.DedupKey, r.CreatedAt}
	})
}

// deleteRows deletes rows of the account by their primary keys, in one statement.
func deleteRows[T any](tx *Tx, where string, rows []*T, args func(*T) []any) error {
	tx.enter(phaseRows)
	return deleteRowsAt(tx, where, rows, args)
}

// deleteRowsAt is deleteRows in whatever phase the transaction is.
func deleteRowsAt[T any](tx *Tx, where string, rows []*T, args func(*T) []any) error {
	if len(rows) == 0 {
		return nil
	}
	all := make([]any, 0, len(rows))
	for _, r := range rows {
		all = append(all, args(r)...)
	}
	either := strings.Repeat(" OR ("+where+")", len(rows))[len(" OR "):]
	return translate(tx.db.Where("account_id = ?", tx.Account).Where("("+either+")", all...).Delete(new(T)).Error)
}

// DeleteNodes forgets nodes that have shown no sign of life since an instant. A node that does
// after all is there again. There are a few rows, of no account.
func (s *Store) DeleteNodes(ctx context.Context, before models.Time) error {
	var dead []models.Key
	// Read first: a heartbeat waits for nobody.
	if err := s.read.WithContext(ctx).Table("node").Where("beat_at < ?", before).Pluck("id", &dead).Error; err != nil {
		return translate(err)
	}
	if len(dead) == 0 {
		return nil
	}
	return translate(s.write.WithContext(ctx).Exec("DELETE FROM node WHERE id IN ? AND beat_at < ?", dead, before).Error)
}

// sweep is the lease of a sweep that one node makes for all.
type sweep struct {
	Name        string      `gorm:"column:name;primaryKey"`
	LeasedBy    models.Key  `gorm:"column:leased_by"`
	LeasedUntil models.Time `gorm:"column:leased_until"`
}

// TableName names the table for the mapper.
func (sweep) TableName() string { return "sweep" }

// LeaseSweep gives this node the sweep with a name until an instant, unless it is leased now. It
// is of no account. What a sweep does must be right when two do it: the lease spares work.
func (s *Store) LeaseSweep(ctx context.Context, name string, until models.Time) (bool, error) {
	err := s.write.WithContext(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"name"}),
	}).Create(&sweep{Name: name}).Error
	if err != nil {
		return false, translate(err)
	}
	return s.moveSweep(ctx, name, until, "leased_until <= ?", s.Now())
}

// KeepSweep moves the end of this node's lease; false when another node has it by now.
func (s *Store) KeepSweep(ctx context.Context, name string, until models.Time) (bool, error) {
	return s.moveSweep(ctx, name, until, "leased_by = ?", s.node)
}

func (s *Store) moveSweep(ctx context.Context, name string, until models.Time, where string, arg any) (bool, error) {
	done := s.write.WithContext(ctx).Model(&sweep{}).Where("name = ?", name).Where(where, arg).
		Updates(&sweep{LeasedBy: s.node, LeasedUntil: until})
	return done.RowsAffected == 1, translate(done.Error)
}
