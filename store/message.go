package store

import (
	"database/sql"
	"slices"

	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// Messages reads messages by key; unknown ones are left out.
func (r *Reader) Messages(account models.Key, keys []models.Key) ([]*models.Message, error) {
	return byKeys[models.Message](r, account, "id", keys)
}

// MessagePage reads a page of a conversation, newest first, of messages written at or after from.
func (r *Reader) MessagePage(account, customer models.Key, from models.Time, p relay.Page) ([]*models.Message, error) {
	return find[models.Message](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ? AND customer_id = ? AND created_at >= ?", account, customer, from)
		if p.After != nil {
			db = db.Where("id < ?", models.Key(p.After.Key))
		}
		return db.Order("id DESC").Limit(p.First + 1)
	})
}

// CountFromCustomer counts the customer's messages after a key and from an instant on: what an
// advisor who read up to the key has not read. Imported ones are nobody's to read.
func (r *Reader) CountFromCustomer(account, customer, after models.Key, from models.Time) (int64, error) {
	defer r.lock()()
	db := r.db.Model(&models.Message{}).Where("account_id = ? AND customer_id = ? AND direction = ? AND status <> ? AND created_at >= ?",
		account, customer, models.FromCustomer, models.StatusImported, from)
	if !after.IsZero() {
		db = db.Where("id > ?", after)
	}
	var n int64
	err := db.Count(&n).Error
	return n, translate(err)
}

// SeenMessages reads which of these items were stored as messages before.
func (r *Reader) SeenMessages(account models.Key, keys []models.Ident) (map[models.Ident]bool, error) {
	seen := map[models.Ident]bool{}
	if len(keys) == 0 {
		return seen, nil
	}
	return seen, r.query(func(rows *sql.Rows) error {
		var key models.Ident
		err := rows.Scan(&key)
		seen[key] = true
		return err
	}, "SELECT dedup_key FROM message WHERE account_id = ? AND dedup_key IN ("+marks(len(keys))+")", identArgs(account, keys)...)
}

// textColumns is what a text that came in has of a message's columns; the others are as the table
// has them by default.
var textColumns = []string{"customer_id", "advisor_id", "direction", "kind", "text", "dedup_key", "status", "at", "status_at", "created_at"}

// InsertMessages appends messages; ErrDuplicate when one that came in is stored already.
func (tx *Tx) InsertMessages(rows []*models.Message) error {
	tx.enter(phaseRows)
	// What comes in by the thousand is text, and half the columns take half the time.
	if !slices.ContainsFunc(rows, func(m *models.Message) bool { return !isPlainText(m) }) {
		return insertFew(tx, rows, textColumns...)
	}
	return insertAt(tx, rows)
}

// InsertPastMessages is InsertMessages for messages of an import. When another transaction stored one of them since this one
// looked, this one runs again.
func (tx *Tx) InsertPastMessages(rows []*models.Message) error {
	return IfMeanwhile(tx.InsertMessages(rows))
}

// isPlainText reports whether a message has nothing outside of textColumns.
func isPlainText(m *models.Message) bool {
	plain := models.Message{
		AccountID: m.AccountID, Key: m.Key, CustomerID: m.CustomerID, AdvisorID: m.AdvisorID, Direction: m.Direction, Kind: m.Kind, Text: m.Text,
		DedupKey: m.DedupKey, Status: m.Status, At: m.At, StatusAt: m.StatusAt, CreatedAt: m.CreatedAt,
	}
	return *m == plain
}

// UpdateMessageStatus writes how far messages of locked conversations have come.
func (tx *Tx) UpdateMessageStatus(rows []*models.Message) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "status", "failure_reason", "status_at")
}

// UpdateMessageAttempts writes a new attempt of messages of locked conversations: how far it has
// come, and what was taken for it.
func (tx *Tx) UpdateMessageAttempts(rows []*models.Message) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "status", "failure_reason", "status_at", "slot_kind", "slot_no", "slot_month")
}
