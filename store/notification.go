package store

import (
	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// Notifications reads notifications by key; unknown ones are left out.
func (r *Reader) Notifications(account models.Key, keys []models.Key) ([]*models.Notification, error) {
	return byKeys[models.Notification](r, account, "id", keys)
}

// NotificationPage reads a page of an advisor's notifications, latest first.
func (r *Reader) NotificationPage(account, advisor models.Key, p relay.Page) ([]*models.Notification, error) {
	return find[models.Notification](r, func(db *gorm.DB) *gorm.DB {
		return keyset(db.Where("account_id = ? AND advisor_id = ?", account, advisor), p, "at", "id")
	})
}

// InsertNotifications writes new notifications.
func (tx *Tx) InsertNotifications(rows []*models.Notification) error { return insert(tx, rows) }

// UpdateNotifications writes merges and read marks. A notification's row is guarded by the
// conversation's lock (inquiries) or the advisor's.
func (tx *Tx) UpdateNotifications(rows []*models.Notification) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "merged", "at", "read_at")
}
