package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/limits"
	"clientele/models"
)

// Import reads an import; ErrNotFound when there is none.
func (r *Reader) Import(account, key models.Key) (*models.Import, error) {
	return first[models.Import](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND id = ? AND deleted_at = 0", account, key)
	})
}

// LockImport reads and locks an import; ErrNotFound when there is none.
func (tx *Tx) LockImport(key models.Key) (*models.Import, error) {
	tx.enter(phaseRows)
	return first[models.Import](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id = ? AND deleted_at = 0", tx.Account, key)
	})
}

// CountOpenImports counts the account's imports that are uploaded, or whose job has not ended.
func (r *Reader) CountOpenImports(account models.Key) (n int64, err error) {
	defer r.lock()()
	err = r.db.Table("import").Joins("LEFT JOIN job j ON j.account_id = import.account_id AND j.id = import.job_id").
		Where("import.account_id = ? AND import.deleted_at = 0 AND (import.job_id IS NULL OR j.state IN ?)", account, openJobs).Count(&n).Error
	return n, translate(err)
}

// InsertImport writes a new import.
func (tx *Tx) InsertImport(i *models.Import) error { return insert(tx, []*models.Import{i}) }

// UpdateImport writes a locked import.
func (tx *Tx) UpdateImport(i *models.Import) error {
	i.UpdatedAt = tx.Now
	return upsert(tx, []*models.Import{i}, "size", "census", "job_id", "deleted_at", "updated_at")
}

// InsertImportPart adds a part to a locked import.
func (tx *Tx) InsertImportPart(p *models.ImportPart) error {
	return insert(tx, []*models.ImportPart{p})
}

// ImportPart reads the part that begins at a place; ErrNotFound when none does.
func (r *Reader) ImportPart(account, key models.Key, begins int64) (*models.ImportPart, error) {
	return first[models.ImportPart](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND import_id = ? AND begins = ?", account, key, begins)
	})
}

// ImportBytes reads up to most bytes of a file from a place on; fewer at its end alone. Parts have at
// most limits.ImportPartBytes.
func (r *Reader) ImportBytes(account, key models.Key, from int64, most int) ([]byte, error) {
	rows, err := find[models.ImportPart](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND import_id = ? AND begins > ? AND begins < ?", account, key, from-limits.ImportPartBytes, from+int64(most)).Order("begins")
	})
	var data []byte
	for _, p := range rows {
		if skip := from - p.Begins; skip > 0 {
			p.Data = p.Data[min(skip, int64(len(p.Data))):]
		}
		data = append(data, p.Data...)
	}
	return data[:min(len(data), most)], err
}

// DeleteImportParts deletes the parts that begin before a place, but not more than most of them, the
// first ones first, and answers how many.
func (tx *Tx) DeleteImportParts(key models.Key, before int64, most int) (int, error) {
	tx.enter(phaseRows)
	begins, err := scan[int64](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.ImportPart{}).Select("begins").Where("account_id = ? AND import_id = ? AND begins < ?", tx.Account, key, before).Order("begins").Limit(most)
	})
	if err != nil || len(begins) == 0 {
		return 0, err
	}
	return len(begins), translate(tx.db.Where("account_id = ? AND import_id = ? AND begins IN ?", tx.Account, key, begins).Delete(&models.ImportPart{}).Error)
}

// DeleteImport deletes an import whose parts are gone.
func (tx *Tx) DeleteImport(key models.Key) error {
	tx.enter(phaseRows)
	return translate(tx.db.Where("account_id = ? AND id = ?", tx.Account, key).Delete(&models.Import{}).Error)
}

// IsImportOver reports whether nothing follows for an import, and locks it: see OverImports. It is over, too, when it
// is not there any more.
func (tx *Tx) IsImportOver(key models.Key, before models.Time) (bool, error) {
	tx.enter(phaseRows)
	rows, err := find[models.Import](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id = ?", tx.Account, key)
	})
	if err != nil || len(rows) == 0 {
		return true, err
	}
	over, err := scan[models.Key](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return overImports(db.Select("import.id"), before).Where("import.account_id = ? AND import.id = ?", tx.Account, key)
	})
	return len(over) > 0, err
}

// overImports are imports that were deleted; or were not started, and left alone since an instant; or whose
// job ended or is gone.
func overImports(db *gorm.DB, before models.Time) *gorm.DB {
	return db.Table("import").Joins("LEFT JOIN job j ON j.account_id = import.account_id AND j.id = import.job_id").
		Where("(import.deleted_at > 0 OR import.job_id IS NULL AND import.updated_at < ? OR import.job_id IS NOT NULL AND (j.id IS NULL OR j.finished_at > 0))", before)
}

// OverImports reads imports, of any account, that nothing follows for. It is one of the named exceptions to "every query takes the account".
func (r *Reader) OverImports(before models.Time, most int) ([]*models.Import, error) {
	return find[models.Import](r, func(db *gorm.DB) *gorm.DB {
		return overImports(db.Select("import.*"), before).Order("import.updated_at").Limit(most)
	})
}

// InsertCustomers writes customers who are new, with their conversations, in whatever phase the
// transaction is: nobody else can hold a lock on them. When another transaction wrote one of their
// openids since this one looked, this one runs again.
func (tx *Tx) InsertCustomers(customers []*models.Customer, conversations []*models.Conversation) error {
	if err := tx.refold(customers); err != nil {
		return err
	}
	err := insertUsed(tx, customers, []string{"openid", "follow_state", "followed_at", "created_at", "updated_at"},
		"unionid", "nickname", "avatar_url", "info", "folded", "country", "province", "city", "advisor_id", "bound_at", "bound_source", "bound_label", "bound_by")
	if err != nil {
		return IfMeanwhile(err)
	}
	return insertUsed(tx, conversations, []string{"created_at", "updated_at"}, "advisor_id", "active_at")
}

// CustomerKeys reads the keys of customers by openid; unknown ones are left out.
func (tx *Tx) CustomerKeys(openids []models.Ident) (map[models.Ident]models.Key, error) {
	return tx.customerKeys(openids)
}
