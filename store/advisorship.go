package store

import (
	"gorm.io/gorm"

	"clientele/limits"
	"clientele/models"
)

// Advisorships reads what a person is a PENDING or ACTIVE advisor of at now, whatever the account: the
// latest invitation first, at most limits.Advisorships. It is the one reading of advisors across accounts
// (ADR 0031).
func (r *Reader) Advisorships(person models.Ident, now models.Time) ([]*models.Advisorship, error) {
	return scan[*models.Advisorship](r, func(db *gorm.DB) *gorm.DB {
		return db.Table("advisor a").Select("a.account_id, c.name account_name, a.id advisor_id, a.state").
			Joins("JOIN account c ON c.id = a.account_id").
			Where("a.unionid = ? AND (a.state = ? OR a.state = ? AND a.deadline > ?)", person, models.AdvisorActive, models.AdvisorPending, now).
			Order("a.invited_at DESC, a.id DESC").Limit(limits.Advisorships)
	})
}
