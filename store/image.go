package store

import (
	"gorm.io/gorm"

	"clientele/models"
)

// Images reads images by key; unknown ones are left out.
func (r *Reader) Images(account models.Key, keys []models.Key) ([]*models.Image, error) {
	return byKeys[models.Image](r, account, "id", keys)
}

// ImagesByHash reads the images with these bytes.
func (r *Reader) ImagesByHash(account models.Key, hashes []models.Ident) ([]*models.Image, error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	return ask[models.Image](r, "SELECT * FROM image WHERE account_id = ? AND hash IN ("+marks(len(hashes))+") ORDER BY id", identArgs(account, hashes)...)
}

// ImagesOfAdvisor reads those of the images that an advisor uploaded, or that customers bound to them have as avatar: of whom each is looked at.
func (r *Reader) ImagesOfAdvisor(account, advisor models.Key, keys []models.Key) ([]*models.Image, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	args := append([]any{advisor[:], account[:], advisor[:]}, keyArgs(account, keys)[1:]...)
	args = append(args, keyArgs(account, keys)...)
	return ask[models.Image](r, "SELECT i.* FROM image i WHERE (EXISTS (SELECT 1 FROM image_uploader u WHERE u.account_id = i.account_id AND u.image_id = i.id AND u.advisor_id = ?)"+
		" OR i.id IN (SELECT c.avatar_id FROM customer c WHERE c.account_id = ? AND c.advisor_id = ? AND c.avatar_id IN ("+marks(len(keys))+")))"+
		" AND i.account_id = ? AND i.id IN ("+marks(len(keys))+")", args...)
}

// LockImages reads and locks images, in key order; those that are not there are left out.
func (tx *Tx) LockImages(keys []models.Key) ([]*models.Image, error) {
	return locked[models.Image](tx, phaseRows, "id", keys)
}

// InsertImages writes new images, whose files are there. When another transaction wrote the same bytes since this one looked, this one runs again.
func (tx *Tx) InsertImages(rows []*models.Image) error { return IfMeanwhile(insert(tx, rows)) }

// UpdateImageUses writes how often locked images are used.
func (tx *Tx) UpdateImageUses(rows []*models.Image) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "uses", "unused_since")
}

// PutImageUploaders says that an advisor uploaded images.
func (tx *Tx) PutImageUploaders(rows []*models.ImageUploader) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "at")
}

// DeleteImages deletes locked images, whose files are due from now on. Who is just giving one of them back has a row of their own for that.
func (tx *Tx) DeleteImages(rows []*models.Image) error {
	if len(rows) == 0 {
		return nil
	}
	tx.enter(phaseRows)
	files := make([]*models.ImageFile, len(rows))
	keys := make([]models.Key, len(rows))
	for i, row := range rows {
		keys[i], files[i] = row.Key, &models.ImageFile{AccountID: tx.Account, Key: row.Key, DueAt: tx.Now}
	}
	for table, column := range map[string]string{"image_uploader": "image_id", "image": "id"} {
		if err := tx.exec("DELETE FROM "+table+" WHERE account_id = ? AND "+column+" IN ("+marks(len(keys))+")", keyArgs(tx.Account, keys)); err != nil {
			return err
		}
	}
	return upsert(tx, files, "due_at")
}

// PutImageFiles says that files belong to no image, and from when on they are deleted.
func (tx *Tx) PutImageFiles(rows []*models.ImageFile) error {
	tx.enter(phaseRows)
	return upsert(tx, rows, "due_at")
}

// TakeImageFiles takes back that files belong to no image, and answers how many of them were not due yet: the others may have been deleted.
func (tx *Tx) TakeImageFiles(keys []models.Key) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	tx.enter(phaseRows)
	return tx.affect("DELETE FROM image_file WHERE account_id = ? AND id IN ("+marks(len(keys))+") AND due_at > ?", append(keyArgs(tx.Account, keys), int64(tx.Now)))
}

// DueImageFiles has files be deleted from now on.
func (tx *Tx) DueImageFiles(keys []models.Key) error {
	if len(keys) == 0 {
		return nil
	}
	tx.enter(phaseRows)
	return tx.exec("UPDATE image_file SET due_at = ? WHERE account_id = ? AND id IN ("+marks(len(keys))+")", append([]any{int64(tx.Now)}, keyArgs(tx.Account, keys)...))
}

// PostponeImageFiles has files that could not be deleted be tried again at an instant.
func (tx *Tx) PostponeImageFiles(rows []*models.ImageFile, at models.Time) error {
	keys := make([]models.Key, len(rows))
	for i, row := range rows {
		keys[i] = row.Key
	}
	if len(keys) == 0 {
		return nil
	}
	tx.enter(phaseRows)
	args := append([]any{int64(at)}, keyArgs(tx.Account, keys)...)
	return tx.exec("UPDATE image_file SET due_at = ? WHERE account_id = ? AND id IN ("+marks(len(keys))+") AND due_at <= ?", append(args, int64(tx.Now)))
}

// DeleteImageFiles forgets files that were deleted, as they were read.
func (tx *Tx) DeleteImageFiles(rows []*models.ImageFile) error {
	return deleteRows[models.ImageFile](tx, "id = ? AND due_at = ?", rows, func(f *models.ImageFile) []any { return []any{f.Key, f.DueAt} })
}

// ImageFilesDue reads files, of any account, that are to be deleted at an instant, the longest due first. It is one of the named exceptions to "every query takes the account".
func (r *Reader) ImageFilesDue(now models.Time, most int) ([]*models.ImageFile, error) {
	return ask[models.ImageFile](r, "SELECT * FROM image_file WHERE due_at <= ? ORDER BY due_at LIMIT ?", int64(now), most)
}

// ImagesUploaded reads which images an advisor uploaded after an instant.
func (r *Reader) ImagesUploaded(account, advisor models.Key, after models.Time) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.ImageUploader{}).Select("image_id").Where("account_id = ? AND advisor_id = ? AND at > ?", account, advisor, after)
	})
}

// UnusedImages reads images, of any account, that nothing has used since an instant or before. It is one of the named exceptions to "every query takes the account".
func (r *Reader) UnusedImages(since models.Time, most int) ([]*models.Image, error) {
	return ask[models.Image](r, "SELECT * FROM image WHERE unused_since > 0 AND unused_since <= ? ORDER BY unused_since LIMIT ?", int64(since), most)
}

// isForgotten reports whether an image that an erased person had is still to be deleted, or its file is, or somebody may be writing that once more; false for none, and
// for one that somebody else uses or has uploaded since.
func (tx *Tx) isForgotten(key models.Key) (bool, error) {
	if key.IsZero() {
		return false, nil
	}
	there, err := scan[int](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Raw("SELECT 1 FROM image WHERE account_id = ? AND id = ? AND unused_since = ? UNION ALL SELECT 1 FROM image_file WHERE account_id = ? AND id = ?"+
			" UNION ALL SELECT 1 FROM image_file WHERE account_id = ? AND image_id = ?",
			tx.Account, key, models.ImageForgotten, tx.Account, key, tx.Account, key)
	})
	return len(there) > 0, err
}
