package store

import (
	"context"

	"gorm.io/gorm"

	"clientele/models"
)

// Revocations reads what an account has revoked and is in force at now: never inside an older
// snapshot, whatever ctx holds, so that what it answers may be kept for later requests. It has
// connections of its own: all that read may be held by snapshots that wait for it, all that write
// by transactions of one account that wait for each other.
func (s *Store) Revocations(ctx context.Context, account models.Key, now models.Time) ([]*models.Revocation, error) {
	return find[models.Revocation](&Reader{db: s.access.WithContext(ctx), store: s}, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND expires_at > ?", account, now)
	})
}

// Revocations reads all revocations of the account, whether in force or not. The account must be
// locked.
func (tx *Tx) Revocations() ([]*models.Revocation, error) {
	return find[models.Revocation](&tx.Reader, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ?", tx.Account) })
}

// WriteRevocation writes a revocation, new or as it is now. The account must be locked.
func (tx *Tx) WriteRevocation(r *models.Revocation) error {
	tx.enter(phaseRows)
	return upsert(tx, []*models.Revocation{r}, "issued_before", "expires_at")
}

// LapsedRevocations reads revocations, of any account, that have not been in force since before
// an instant, the oldest first.
func (r *Reader) LapsedRevocations(before models.Time, most int) ([]*models.Revocation, error) {
	return find[models.Revocation](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("expires_at < ?", before).Order("expires_at").Limit(most)
	})
}

// DeleteRevocations deletes those of these revocations of the account that nobody has renewed
// since: what is in force after an instant stays.
func (tx *Tx) DeleteRevocations(rows []*models.Revocation, before models.Time) error {
	return deleteRows[models.Revocation](tx, "kind = ? AND name = ? AND expires_at < ?", rows, func(r *models.Revocation) []any {
		return []any{r.Kind, r.Name, before}
	})
}
