package store

import (
	"gorm.io/gorm"

	"clientele/models"
)

// AccessToken reads what an account's platform is asked with; ErrNotFound where there was none yet.
func (r *Reader) AccessToken(account models.Key) (*models.AccessToken, error) {
	return first[models.AccessToken](r, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ?", account) })
}

// PutAccessToken writes it, under the lock of the account.
func (tx *Tx) PutAccessToken(t *models.AccessToken) error {
	return upsert(tx, []*models.AccessToken{t}, "sealed", "renew_at", "expires_at", "leased_until")
}

// DeleteAccessToken forgets it, under the lock of the account.
func (tx *Tx) DeleteAccessToken() error {
	return translate(tx.db.Where("account_id = ?", tx.Account).Delete(&models.AccessToken{}).Error)
}

// ChannelFaults reads why parts of an account's platform are not asked, or were not: Until says.
func (r *Reader) ChannelFaults(account models.Key) ([]*models.ChannelFault, error) {
	return find[models.ChannelFault](r, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ?", account).Order("api") })
}

// PutChannelFault writes a fault, under the lock of the account.
func (tx *Tx) PutChannelFault(f *models.ChannelFault) error {
	return upsert(tx, []*models.ChannelFault{f}, "code", "since", "until_at")
}

// DeleteChannelFaults forgets all of the account, under its lock.
func (tx *Tx) DeleteChannelFaults() error {
	return translate(tx.db.Where("account_id = ?", tx.Account).Delete(&models.ChannelFault{}).Error)
}
