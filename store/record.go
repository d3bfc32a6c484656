package store

import (
	"cmp"
	"database/sql"
	"encoding/json"

	"gorm.io/gorm"

	"clientele/models"
)

// SeenInbound reads which of these items were stored before.
func (r *Reader) SeenInbound(account models.Key, keys []models.Ident) (map[models.Ident]*models.InboundRecord, error) {
	seen := map[models.Ident]*models.InboundRecord{}
	if len(keys) == 0 {
		return seen, nil
	}
	t := tableOf[models.InboundRecord]()
	read := newCells(t.all())
	return seen, r.query(func(rows *sql.Rows) error {
		rec := new(models.InboundRecord)
		if err := read.next(rows); err != nil {
			return err
		}
		if err := read.into(rec, 0); err != nil {
			return err
		}
		seen[rec.DedupKey] = rec
		return nil
	}, "SELECT "+t.selected("i")+" FROM inbound i WHERE i.account_id = ? AND i.dedup_key IN ("+marks(len(keys))+")", identArgs(account, keys)...)
}

// InsertInbound appends records; ErrDuplicate when one is stored already.
func (tx *Tx) InsertInbound(rows []*models.InboundRecord) error { return insert(tx, rows) }

// Idempotent reads the first result of a key; ErrNotFound for a new one.
func (r *Reader) Idempotent(account models.Key, subject, key models.Ident) (*models.Idempotency, error) {
	return first[models.Idempotency](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND subject = ? AND idem_key = ?", account, subject, key)
	})
}

// InsertIdempotency keeps the first result; ErrDuplicate when another call was first.
func (tx *Tx) InsertIdempotency(row *models.Idempotency) error {
	return insert(tx, []*models.Idempotency{row})
}

// Change is what an audit entry tells. Before and After are marshalled: values that were there and what
// they are since, never messages, tokens or credentials. What they hold of a customer stands in entries
// or items about that customer alone, where an erasure finds it (rule E13).
type Change struct {
	// Key is the entry's; zero: a new one.
	Key        models.Key
	Action     string
	TargetKind string
	Target     models.Key
	Before     any
	After      any
	// Items is what came of each item of a batch call, with what it changed.
	Items []models.ItemResult
}

// ActFor makes the audit entries of a job's transaction those of who started the job.
func (tx *Tx) ActFor(a Actor) { tx.actor = a }

// Audit writes entries of the transaction's actor, with their items (rule R5).
func (tx *Tx) Audit(changes ...Change) error {
	rows := make([]*models.Audit, len(changes))
	var items []*models.AuditItem
	for i, c := range changes {
		before, err := compact(c.Before)
		if err != nil {
			return err
		}
		after, err := compact(c.After)
		if err != nil {
			return err
		}
		rows[i] = &models.Audit{
			AccountID: tx.Account, Key: cmp.Or(c.Key, models.NewKey()), At: tx.Now,
			Role: models.Role(tx.actor.Role), Subject: tx.actor.Subject, TokenID: tx.actor.TokenID, RequestID: tx.actor.RequestID, Address: tx.actor.Address,
			Action: c.Action, TargetKind: c.TargetKind, TargetID: c.Target, Before: before, After: after,
		}
		for no, item := range c.Items {
			row := &models.AuditItem{AccountID: tx.Account, AuditID: rows[i].Key, No: no, TargetID: item.Target, Outcome: item.Outcome()}
			if item.Before != nil {
				if row.Before, err = compact(item.Before); err != nil {
					return err
				}
			}
			if item.After != nil {
				if row.After, err = compact(item.After); err != nil {
					return err
				}
			}
			items = append(items, row)
		}
	}
	tx.audited = true
	if err := insert(tx, rows); err != nil {
		return err
	}
	return insert(tx, items)
}

func compact(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}
