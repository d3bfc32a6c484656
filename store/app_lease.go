package store

import (
	"bytes"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// OpenApps reads which of these advisors have their app open at now (rule N3).
func (r *Reader) OpenApps(account models.Key, advisors []models.Key, now models.Time) (map[models.Key]bool, error) {
	if len(advisors) == 0 {
		return map[models.Key]bool{}, nil
	}
	keys, err := scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.AppLease{}).Distinct("advisor_id").
			Where("account_id = ? AND advisor_id IN ? AND expires_at > ?", account, advisors, now)
	})
	open := make(map[models.Key]bool, len(keys))
	for _, k := range keys {
		open[k] = true
	}
	return open, err
}

// LapsedApps reads leases that ran out without a clean close, of any account.
func (r *Reader) LapsedApps(now models.Time, most int) ([]*models.AppLease, error) {
	return find[models.AppLease](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("expires_at <= ?", now).Order("expires_at").Limit(most)
	})
}

// WriteApps writes leases, new or as they are now.
func (tx *Tx) WriteApps(leases []*models.AppLease) error {
	tx.enter(phaseRows)
	slices.SortFunc(leases, func(a, b *models.AppLease) int { return bytes.Compare(a.AdvisorID[:], b.AdvisorID[:]) })
	return upsert(tx, leases, "renewed_at", "expires_at")
}

// CloseApp deletes the lease of an advisor on a node.
func (tx *Tx) CloseApp(advisor, node models.Key) error {
	tx.enter(phaseRows)
	return translate(tx.db.Where("account_id = ? AND advisor_id = ? AND node_id = ?", tx.Account, advisor, node).
		Delete(&models.AppLease{}).Error)
}

// LockApp reads and locks one lease; ErrNotFound when it is gone.
func (tx *Tx) LockApp(advisor, node models.Key) (*models.AppLease, error) {
	tx.enter(phaseQueues)
	return first[models.AppLease](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
			Where("account_id = ? AND advisor_id = ? AND node_id = ?", tx.Account, advisor, node)
	})
}

// UnreadSince reads an advisor's conversations with unread messages that came at an instant or
// after it and that no inquiry gathers yet.
func (r *Reader) UnreadSince(account, advisor models.Key, after models.Time) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Conversation{}).Select("customer_id").
			Where("account_id = ? AND advisor_id = ? AND unread > 0 AND active_at >= ? AND inquiry_id IS NULL", account, advisor, after)
	})
}
