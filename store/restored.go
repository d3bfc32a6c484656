package store

import (
	"gorm.io/gorm"

	"clientele/models"
)

// QueuedCustomers reads which customers of an account, behind `after`, have an outbound queue.
func (r *Reader) QueuedCustomers(account, after models.Key, most int) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		db = db.Model(&models.Outbox{}).Select("customer_id").Where("account_id = ?", account)
		if !after.IsZero() {
			db = db.Where("customer_id > ?", after)
		}
		return db.Order("customer_id").Limit(most)
	})
}

// Deliveries reads all that waits in a customer's locked queue, in order.
func (r *Reader) Deliveries(account, customer models.Key) ([]*models.Delivery, error) {
	return find[models.Delivery](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND customer_id = ?", account, customer).Order(place)
	})
}
