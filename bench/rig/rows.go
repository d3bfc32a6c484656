package rig

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"clientele/models"
)

// Rows writes one multi-row INSERT after the other as text, the cheapest way there is from here:
// the floor's hand-written SQL, and how data sets are filled. Not safe for concurrent use.
type Rows struct {
	head, end string
	text      []byte
	n         int
}

// NewRows begins statements "INSERT INTO head VALUES (…),(…) end".
func NewRows(head, end string) *Rows { return &Rows{head: head, end: end} }

// Add adds a row. A value is a models.Key (NULL when zero), an int, int64, models.Time, or a string
// of printable ASCII.
func (r *Rows) Add(values ...any) {
	if r.n == 0 {
		r.text = append(append(append(r.text[:0], "INSERT INTO "...), r.head...), " VALUES ("...)
	} else {
		r.text = append(r.text, ",("...)
	}
	r.n++
	for i, v := range values {
		if i > 0 {
			r.text = append(r.text, ',')
		}
		r.text = AppendValue(r.text, v)
	}
	r.text = append(r.text, ')')
}

// AppendValue adds a value as an SQL literal; see Rows.Add.
func AppendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case models.Key:
		if v.IsZero() {
			return append(b, "NULL"...)
		}
		return append(hex.AppendEncode(append(b, "X'"...), v[:]), '\'')
	case models.Time:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case nil:
		return append(b, "NULL"...)
	case string:
		return append(append(append(b, '\''), v...), '\'')
	}
	panic("rig: a value of another type")
}

// Len is how many rows wait.
func (r *Rows) Len() int { return r.n }

// Execer is *sql.DB, *sql.Conn or *sql.Tx.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Flush writes what waits, if anything.
func (r *Rows) Flush(ctx context.Context, db Execer) error {
	if r.n == 0 {
		return nil
	}
	r.text, r.n = append(append(r.text, ' '), r.end...), 0
	_, err := db.ExecContext(ctx, string(r.text))
	return err
}

// KeyAt is the n-th key of an instant, in the form of a UUIDv7: keys ascend with time, then n.
func KeyAt(t time.Time, n int) models.Key {
	var k models.Key
	binary.BigEndian.PutUint64(k[:8], uint64(t.UnixMilli())<<16|0x7000)
	binary.BigEndian.PutUint64(k[8:], 1<<63|uint64(n))
	return k
}
