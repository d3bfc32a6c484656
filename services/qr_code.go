package services

import (
	"clientele/models"
	"clientele/store"
)

// newQRCode is the permanent code of an advisor or group (rule C1). Its scene tells nothing of
// whose it is and cannot be guessed.
func newQRCode(tx *store.Tx, kind models.QRCodeKind, owner models.Key) *models.QRCode {
	return &models.QRCode{
		AccountID: tx.Account, Key: models.NewKey(), Scene: randomIdent(), Kind: kind, OwnerID: owner, CreatedAt: tx.Now,
	}
}
