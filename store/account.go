package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// Account reads one account. It is one of the named exceptions to "every query takes the
// account": the account is what it asks for.
func (r *Reader) Account(key models.Key) (*models.Account, error) {
	return first[models.Account](r, func(db *gorm.DB) *gorm.DB { return db.Where("id = ?", key) })
}

// AccountByCallback reads the account whose callback URL ends in id: an exception like Account,
// since a callback names nothing else.
func (r *Reader) AccountByCallback(id models.Ident) (*models.Account, error) {
	return first[models.Account](r, func(db *gorm.DB) *gorm.DB { return db.Where("callback_id = ?", id) })
}

// LastViolation is when the account's latest violation happened; zero without one.
func (r *Reader) LastViolation(account models.Key) (models.Time, error) {
	at, err := scan[models.Time](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Violation{}).Where("account_id = ?", account).Select("COALESCE(MAX(happened_at), 0)")
	})
	if err != nil || len(at) == 0 {
		return 0, err
	}
	return at[0], nil
}

// LockAccount reads and locks the transaction's account: what counts in the account as a whole
// (advisors, groups) is decided under it.
func (tx *Tx) LockAccount() (*models.Account, error) {
	tx.enter(phaseAccounts)
	return first[models.Account](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", tx.Account)
	})
}

// InsertAccount writes a new account; ErrDuplicate when its app id is taken.
func (tx *Tx) InsertAccount(a *models.Account) error { return insert(tx, []*models.Account{a}) }

// UpdateAccount writes these columns of the locked account.
func (tx *Tx) UpdateAccount(a *models.Account, columns ...string) error {
	a.UpdatedAt = tx.Now
	return upsert(tx, []*models.Account{a}, append(columns, "updated_at")...)
}

// InsertViolations appends violations.
func (tx *Tx) InsertViolations(rows []*models.Violation) error { return insert(tx, rows) }
