package store

import (
	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// AuditFilter says which entries a page holds; zero fields say nothing.
type AuditFilter struct {
	Role, Subject, Action string
	// Target and TargetKind go together: two kinds may share a key.
	Target     models.Key
	TargetKind string
	// From is the first instant, Until the first that is too late.
	From, Until models.Time
}

// AuditPage reads a page of the audit log, newest first. Each field has an index that is in this
// order; of several the database uses one.
func (r *Reader) AuditPage(account models.Key, f AuditFilter, p relay.Page) ([]*models.Audit, error) {
	return find[models.Audit](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ?", account)
		for column, value := range map[string]string{"role": f.Role, "subject": f.Subject, "action": f.Action} {
			if value != "" {
				db = db.Where(column+" = ?", value)
			}
		}
		if !f.Target.IsZero() {
			db = db.Where("target_id = ? AND target_kind = ?", f.Target, f.TargetKind)
		}
		if !f.From.IsZero() {
			db = db.Where("at >= ?", f.From)
		}
		if !f.Until.IsZero() {
			db = db.Where("at < ?", f.Until)
		}
		return keyset(db, p, "at", "id")
	})
}

// Audits reads entries by key; unknown ones are left out.
func (r *Reader) Audits(account models.Key, keys []models.Key) ([]*models.Audit, error) {
	return byKeys[models.Audit](r, account, "id", keys)
}

// AuditItems reads the items of entries, in the order of their calls. What they tell of who is being erased is
// Erased, as it soon is in the database.
func (r *Reader) AuditItems(account models.Key, entries []models.Key) ([]*models.AuditItem, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	return ask[models.AuditItem](r, "SELECT i.account_id, i.audit_id, i.no, i.target_id, i.outcome, "+hiding("before_json")+", "+hiding("after_json")+
		" FROM audit_item i LEFT JOIN customer c ON c.account_id = i.account_id AND c.id = i.target_id WHERE i.account_id = ? AND i.audit_id IN ("+marks(len(entries))+")"+
		" ORDER BY i.audit_id, i.no", keyArgs(account, entries)...)
}

// hiding is a column of items i unless their customer c is erased.
func hiding(column string) string {
	return "CASE WHEN c.erased_at > 0 AND i." + column + " <> '' THEN '" + models.Erased + "' ELSE i." + column + " END AS " + column
}
