package store

import (
	"gorm.io/gorm"

	"clientele/models"
)

// QRCodesByOwner reads the codes of advisors and groups.
func (r *Reader) QRCodesByOwner(account models.Key, owners []models.Key) ([]*models.QRCode, error) {
	return byKeys[models.QRCode](r, account, "owner_id", owners)
}

// QRCodesByScene reads the codes with these scenes.
func (r *Reader) QRCodesByScene(account models.Key, scenes []models.Ident) ([]*models.QRCode, error) {
	if len(scenes) == 0 {
		return nil, nil
	}
	return find[models.QRCode](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND scene IN ?", account, scenes)
	})
}

// InsertQRCodes writes new codes.
func (tx *Tx) InsertQRCodes(rows []*models.QRCode) error { return insert(tx, rows) }
