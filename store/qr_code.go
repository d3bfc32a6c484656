package store

import (
	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// QRCodesByOwner reads the own codes of advisors and groups (rule C1).
func (r *Reader) QRCodesByOwner(account models.Key, owners []models.Key) ([]*models.QRCode, error) {
	if len(owners) == 0 {
		return nil, nil
	}
	return ask[models.QRCode](r, "SELECT * FROM qr_code WHERE account_id = ? AND owner_id IN ("+marks(len(owners))+") AND own = 1 ORDER BY owner_id",
		keyArgs(account, owners)...)
}

// QRCodes reads codes by key; unknown ones are left out.
func (r *Reader) QRCodes(account models.Key, keys []models.Key) ([]*models.QRCode, error) {
	return byKeys[models.QRCode](r, account, "id", keys)
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

// QRCodeFilter says which codes a page holds; zero fields say nothing, what is said holds together.
type QRCodeFilter struct {
	// Owner is an advisor or a group.
	Owner models.Key
	Label string
}

// QRCodePage reads a page of codes, the latest first, along the index of the owner or of the label. Of an
// owner that is named together with a label all codes may be looked at.
func (r *Reader) QRCodePage(account models.Key, f QRCodeFilter, p relay.Page) ([]*models.QRCode, error) {
	index, where, args := "", "account_id = ?", []any{account[:]}
	if f.Label != "" {
		index, where, args = "qr_code_label", where+" AND label = ?", append(args, f.Label)
	}
	if !f.Owner.IsZero() {
		index, where, args = "qr_code_owned", where+" AND owner_id = ?", append(args, f.Owner[:])
	}
	if p.After != nil {
		where, args = where+" AND id < ?", append(args, p.After.Key[:])
	}
	return ask[models.QRCode](r, "SELECT * FROM qr_code"+r.by(index)+" WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, p.First+1)...)
}

// InsertQRCodes writes new codes.
func (tx *Tx) InsertQRCodes(rows []*models.QRCode) error { return insert(tx, rows) }

// OldQRCodes reads the keys of temporary codes, of any account, that expired before an instant, the first
// to expire first.
func (r *Reader) OldQRCodes(before models.Time, most int) ([]*models.QRCode, error) {
	return ask[models.QRCode](r, "SELECT account_id, id, expires_at FROM qr_code WHERE expires_at > 0 AND expires_at < ? ORDER BY expires_at LIMIT ?", int64(before), most)
}

// DeleteQRCodes deletes temporary codes of the account, as they were read.
func (tx *Tx) DeleteQRCodes(rows []*models.QRCode) error {
	return deleteRows[models.QRCode](tx, "id = ? AND expires_at = ?", rows, func(q *models.QRCode) []any { return []any{q.Key, q.ExpiresAt} })
}
