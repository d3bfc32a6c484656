package store

import (
	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// CustomerChangeFilter says which changes a page holds; zero fields say nothing.
type CustomerChangeFilter struct {
	Customer    models.Key
	From, Until models.Time
}

// CustomerChangePage reads a page of the log of changes of customers, latest first.
func (r *Reader) CustomerChangePage(account models.Key, f CustomerChangeFilter, p relay.Page) ([]*models.CustomerChange, error) {
	return find[models.CustomerChange](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ?", account)
		if !f.Customer.IsZero() {
			db = db.Where("customer_id = ?", f.Customer)
		}
		if f.From > 0 {
			db = db.Where("at >= ?", f.From)
		}
		if f.Until > 0 {
			db = db.Where("at < ?", f.Until)
		}
		return keyset(db, p, "at", "id")
	})
}

// InsertCustomerChanges appends to the log of changes of customers, and tells of each in the account's
// stream.
func (tx *Tx) InsertCustomerChanges(rows []*models.CustomerChange) error {
	for _, c := range rows {
		tx.EmitToAccount(models.AccountCustomerChanged, c.CustomerID, c.Key)
	}
	return insert(tx, rows)
}

// CustomerChanges reads changes by key; unknown ones are left out.
func (r *Reader) CustomerChanges(account models.Key, keys []models.Key) ([]*models.CustomerChange, error) {
	return byKeys[models.CustomerChange](r, account, "id", keys)
}
