package store

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/limits"
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

// RenewApps writes leases of this node, new or renewed at the transaction's instant.
func (tx *Tx) RenewApps(advisors []models.Key) error {
	tx.enter(phaseRows)
	rows := make([]*models.AppLease, 0, len(advisors))
	for _, a := range sorted(advisors) {
		rows = append(rows, &models.AppLease{
			AccountID: tx.Account, AdvisorID: a, NodeID: tx.store.node,
			RenewedAt: tx.Now, ExpiresAt: tx.Now.Add(limits.AppLease),
		})
	}
	return upsert(tx, rows, "renewed_at", "expires_at")
}

// CloseApps deletes this node's leases of these advisors.
func (tx *Tx) CloseApps(advisors []models.Key) error {
	tx.enter(phaseRows)
	for keys := range slices.Chunk(sorted(advisors), limits.BatchRows) {
		if err := tx.db.Where("account_id = ? AND advisor_id IN ? AND node_id = ?", tx.Account, keys, tx.store.node).
			Delete(&models.AppLease{}).Error; err != nil {
			return translate(err)
		}
	}
	return nil
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

// UnreadSince reads an advisor's conversations with unread messages that came after an instant
// and that no inquiry gathers yet.
func (r *Reader) UnreadSince(account, advisor models.Key, after models.Time) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Conversation{}).Select("customer_id").
			Where("account_id = ? AND advisor_id = ? AND unread > 0 AND active_at > ? AND inquiry_id IS NULL", account, advisor, after)
	})
}
