package services

import (
	"context"
	"errors"
	"maps"
	"slices"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// imageUses gathers how many uses of images a transaction adds and takes away.
type imageUses map[models.Key]int

// moved says that a row refers to another image than before; zero is none.
func (u imageUses) moved(was, is models.Key) {
	if was == is {
		return
	}
	if !was.IsZero() {
		u[was]--
	}
	if !is.IsZero() {
		u[is]++
	}
}

// lockImages locks images that rows refer to, or are to refer to, and answers those that are there: none of them is deleted before the transaction
// ends.
func lockImages(tx *store.Tx, keys []models.Key) (map[models.Key]*models.Image, error) {
	rows, err := tx.LockImages(slices.DeleteFunc(keys, models.Key.IsZero))
	return imagesByKey(rows), err
}

// save counts the uses. since is from when on what nothing uses any more is unused.
func (u imageUses) save(tx *store.Tx, since models.Time) error {
	keys := make([]models.Key, 0, len(u))
	for k, n := range u {
		if n != 0 {
			keys = append(keys, k)
		}
	}
	rows, err := tx.LockImages(keys)
	if err != nil {
		return err
	}
	there := imagesByKey(rows)
	for k, n := range u {
		if n > 0 && there[k] == nil {
			return models.Errorf(models.CodeUnavailable, "an image was deleted meanwhile; try again")
		}
		if there[k] != nil && n != 0 {
			there[k].Use(n, since)
		}
	}
	return tx.UpdateImageUses(rows)
}

// SweepImages deletes images that nothing has used for limits.ImageKept, and files that belong to no image. An image that is used meanwhile stays. It
// answers how many rows it deleted. Two nodes at once would do no harm.
func (s *Services) SweepImages(ctx context.Context) (deleted int, err error) {
	unused, err := s.store.View(ctx).UnusedImages(s.Now().Add(-limits.ImageKept), limits.BatchRows)
	if err != nil {
		return 0, err
	}
	for account, keys := range byAccount(unused, func(i *models.Image) (models.Key, models.Key) { return i.AccountID, i.Key }) {
		if e := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error { return deleteUnused(tx, keys) }); e != nil {
			err = errors.Join(err, e) // the others' are deleted
			continue
		}
		deleted += len(keys)
	}
	if s.blobs == nil {
		return deleted, err
	}
	due, e := s.store.View(ctx).ImageFilesDue(s.Now(), limits.BatchRows)
	if e != nil {
		return deleted, errors.Join(err, e)
	}
	due, e = s.withoutImage(ctx, due)
	err = errors.Join(err, e)
	gone, stuck := map[models.Key][]*models.ImageFile{}, map[models.Key][]*models.ImageFile{}
	for _, f := range due {
		to := gone
		if e := s.blobs.Delete(ctx, f.BlobKey()); e != nil {
			to, err = stuck, errors.Join(err, e)
		}
		to[f.AccountID] = append(to[f.AccountID], f)
		if ctx.Err() != nil {
			break
		}
	}
	n := 0
	for account, files := range gone {
		e := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error { return tx.DeleteImageFiles(files) })
		if err = errors.Join(err, e); e == nil {
			n += len(files)
		}
	}
	for account, files := range stuck { // one that cannot be deleted keeps no other from it
		err = errors.Join(err, s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
			return tx.PostponeImageFiles(files, tx.Now.Add(limits.ImageFileRetry))
		}))
	}
	return max(deleted, n), err
}

// withoutImage are those of the files whose image is not there, which will not come again. Of the others, which a call gave back that did not end, it forgets that they
// were due.
func (s *Services) withoutImage(ctx context.Context, due []*models.ImageFile) (none []*models.ImageFile, err error) {
	for account, keys := range byAccount(due, func(f *models.ImageFile) (models.Key, models.Key) { return f.AccountID, f.Image() }) {
		rows, e := s.store.View(ctx).Images(account, keys)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		there, files := imagesByKey(rows), map[models.Key][]*models.ImageFile{}
		for _, f := range due {
			switch {
			case f.AccountID != account:
			case there[f.Image()] == nil:
				none = append(none, f)
			default:
				files[f.Image()] = append(files[f.Image()], f)
			}
		}
		if len(files) == 0 {
			continue
		}
		err = errors.Join(err, s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
			rows, err := tx.LockImages(slices.Collect(maps.Keys(files)))
			if err != nil {
				return err
			}
			var kept []*models.ImageFile
			for _, row := range rows {
				kept = append(kept, files[row.Key]...)
			}
			return tx.DeleteImageFiles(kept)
		}))
	}
	return none, err
}

func byAccount[T any](rows []T, of func(T) (account, key models.Key)) map[models.Key][]models.Key {
	all := map[models.Key][]models.Key{}
	for _, row := range rows {
		account, key := of(row)
		all[account] = append(all[account], key)
	}
	return all
}

// deleteUnused deletes those of the images that are still unused, under the lock under which uploads find them.
func deleteUnused(tx *store.Tx, keys []models.Key) error {
	a, err := tx.LockAccount()
	if err != nil {
		return err
	}
	rows, err := tx.LockImages(keys)
	if err != nil {
		return err
	}
	var over []*models.Image
	for _, row := range rows {
		if row.IsOver(tx.Now) {
			over = append(over, row)
			a.ImageCount--
			a.ImageBytes -= row.Bytes
		}
	}
	if len(over) == 0 {
		return nil
	}
	if err := tx.UpdateAccount(a, "image_count", "image_bytes"); err != nil {
		return err
	}
	return tx.DeleteImages(over)
}
