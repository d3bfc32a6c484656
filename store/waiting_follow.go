package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/limits"
	"clientele/models"
)

// WaitingFollows reads followers of whom the platform is to be asked: those first of whom something waits for the answer, the longest waiting first.
func (r *Reader) WaitingFollows(account models.Key, most int) ([]*models.WaitingFollow, error) {
	return find[models.WaitingFollow](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ?", account).Order("decides DESC, since, customer_id").Limit(most)
	})
}

// WaitingFollowsOf reads those of customers. Whoever holds a customer's lock knows that theirs stays as it is.
func (r *Reader) WaitingFollowsOf(account models.Key, customers []models.Key) ([]*models.WaitingFollow, error) {
	return byKeys[models.WaitingFollow](r, account, "customer_id", customers)
}

// PutWaitingFollows has the platform be asked of locked customers, one row each; of who waits already, of what is written now.
func (tx *Tx) PutWaitingFollows(rows []*models.WaitingFollow) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "followed_at", "decides", "since")
}

// DeleteWaitingFollows takes those of locked customers back.
func (tx *Tx) DeleteWaitingFollows(rows []*models.WaitingFollow) error {
	return deleteRows[models.WaitingFollow](tx, "customer_id = ?", rows, func(w *models.WaitingFollow) []any { return []any{w.CustomerID} })
}

// WakeFollowerInfo says that the platform is to be asked of followers: now if nothing waits yet, and with what waits otherwise, but that nothing waits
// longer than limits.OriginPatience. Who asks at this moment finds the new ones when recording the answer.
func (tx *Tx) WakeFollowerInfo() error {
	tx.enter(phaseRows)
	by := tx.Now.Add(limits.OriginPatience)
	return translate(tx.db.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "account_id"}, {Name: "api"}},
		DoUpdates: clause.Assignments(map[string]any{
			"due_at": gorm.Expr("CASE WHEN leased_by IS NULL AND due_at > ? THEN ? ELSE due_at END", by, by),
		}),
	}).Create(&models.ChannelWork{AccountID: tx.Account, API: models.APIFollowerInfo, DueAt: tx.Now}).Error)
}
