package store

import (
	"bytes"
	"slices"
	"strings"

	"gorm.io/gorm"

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

// CloseApps deletes these leases, but for those that were renewed meanwhile.
func (tx *Tx) CloseApps(leases []*models.AppLease) error {
	tx.enter(phaseRows)
	byNode := map[models.Key][]models.Key{}
	for _, l := range leases {
		byNode[l.NodeID] = append(byNode[l.NodeID], l.AdvisorID)
	}
	for node, advisors := range byNode {
		if err := translate(tx.db.Where("account_id = ? AND advisor_id IN ? AND node_id = ? AND expires_at <= ?", tx.Account, sorted(advisors), node, tx.Now).
			Delete(&models.AppLease{}).Error); err != nil {
			return err
		}
	}
	return nil
}

// UnreadSince reads conversations of advisors, named with an instant each, that have unread messages
// which came then or after it, and that no inquiry gathers yet.
func (r *Reader) UnreadSince(account models.Key, since map[models.Key]models.Time) ([]models.Key, error) {
	if len(since) == 0 {
		return nil, nil
	}
	of := strings.TrimSuffix(strings.Repeat("advisor_id = ? AND active_at >= ? OR ", len(since)), " OR ")
	args := make([]any, 0, 2*len(since))
	for advisor, from := range since {
		args = append(args, advisor, from)
	}
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Conversation{}).Select("customer_id").Where("account_id = ?", account).Where("("+of+")", args...).
			Where("unread > 0 AND inquiry_id IS NULL")
	})
}
