package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"clientele/internal/imagefile"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// ImageFile is a file that is uploaded.
type ImageFile struct {
	Content io.Reader
	Size    int64
}

// ImageResult is what came of one file of a call.
type ImageResult struct {
	Image *models.Image
	Err   error
}

// UploadImages keeps images, with a result per file in order (rule H6). The same bytes are one image of an account, whoever comes with them
// and however often. Errors of items: INVALID, LIMIT_EXCEEDED, UNAVAILABLE. Errors of the call: INVALID, LIMIT_EXCEEDED.
func (s *Services) UploadImages(ctx context.Context, files []ImageFile) ([]ImageResult, error) {
	c, err := s.begin(ctx, mayUploadImages)
	if err != nil {
		return nil, err
	}
	switch {
	case len(files) == 0:
		return nil, models.Invalid("input.files", "is empty")
	case len(files) > limits.ImagesPerCall:
		return nil, models.TooMany("input.files", limits.ImagesPerCall, "at most %d in a call", limits.ImagesPerCall)
	}
	u := &upload{s: s, c: c, items: make([]uploadItem, len(files)), files: map[models.Ident]*uploadFile{}}
	for i, f := range files {
		if err := u.examine(ctx, i, f); err != nil {
			return nil, err
		}
	}
	// An image that was known may be deleted, because nothing used it, while the others are kept.
	for attempt := 1; ; attempt++ {
		again, err := u.run(ctx)
		switch {
		case err != nil:
			return nil, err
		case !again:
			return u.results(ctx)
		}
		if err := u.lookAgain(ctx); err != nil {
			return nil, err
		}
		if attempt == uploadAttempts {
			return nil, models.Errorf(models.CodeUnavailable, "the images were deleted meanwhile; try again")
		}
	}
}

// uploadAttempts is how often an upload looks again for what is known already.
const uploadAttempts = 3

// upload is one call of UploadImages.
type upload struct {
	s     *Services
	c     *Scope
	items []uploadItem
	known map[models.Ident]*models.Image // by hash, as the account has them
	files map[models.Ident]*uploadFile   // by hash; kept in object storage by this call
	// today are the images that an advisor uploaded in the past limits.ImageDay.
	today map[models.Key]bool
	// decided is what came of the items.
	decided []models.ItemResult
}

type uploadItem struct {
	hash models.Ident
	data []byte
	info imagefile.Info
	err  *models.Error
}

// uploadFile is a file that the account had not.
type uploadFile struct {
	row *models.Image
	// isBack is of a file that was missing of an image that the account has.
	isBack bool
	// held is the row that says that the file is none's yet: of one that is given back, this call's own.
	held models.Key
	err  *models.Error // it could not be kept
}

func imageField(i int) string { return fmt.Sprintf("input.files.%d", i) }

// examine reads a file and looks it over; the error is one of the call.
func (u *upload) examine(ctx context.Context, i int, f ImageFile) error {
	item, field := &u.items[i], imageField(i)
	if f.Size > limits.ImageBytes {
		item.err = models.TooMany(field, limits.ImageBytes, "at most %d bytes", limits.ImageBytes)
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f.Content, limits.ImageBytes+1))
	switch {
	case err != nil:
		return err
	case len(data) > limits.ImageBytes:
		item.err = models.TooMany(field, limits.ImageBytes, "at most %d bytes", limits.ImageBytes)
		return nil
	}
	done, err := u.s.unpacking(ctx, u.c.Account.Key)
	if err != nil {
		return err
	}
	defer done()
	item.info, err = imagefile.Examine(ctx, data, imageLimits)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, imagefile.ErrFrames):
		item.err = models.TooMany(field, limits.ImageFrames, "at most %d frames", limits.ImageFrames)
	case errors.Is(err, imagefile.ErrPixels):
		item.err = models.TooMany(field, limits.ImagePixels, "at most %d pixels", limits.ImagePixels)
	case errors.Is(err, imagefile.ErrFramePixels):
		item.err = models.TooMany(field, limits.ImageFramePixels, "at most %d pixels in all frames", limits.ImageFramePixels)
	case err != nil:
		item.err = models.Invalid(field, "%s", err.Error())
	default:
		sum := sha256.Sum256(data)
		item.hash, item.data = models.Ident(sum[:]), data
		if known := u.dataOf(item.hash, i); known != nil {
			item.data = known // one copy, in however many places the file stands
		}
	}
	return nil
}

// run keeps what is not known yet, file first, and then writes it all; again: what was known is gone.
func (u *upload) run(ctx context.Context) (again bool, err error) {
	if err := u.look(ctx); err != nil {
		return false, err
	}
	if err := u.keep(ctx); err != nil {
		return false, err
	}
	err = u.s.store.Write(ctx, u.c.actor(), u.c.Account.Key, func(tx *store.Tx) (err error) {
		again, err = u.write(tx)
		if err == nil && again {
			return errLookAgain
		}
		return err
	})
	if errors.Is(err, errLookAgain) {
		return true, nil
	}
	return false, err
}

// errLookAgain undoes a transaction that cannot go on.
var errLookAgain = errors.New("an image is gone")

// hashes are those of the files that are images, each once.
func (u *upload) hashes() (all []models.Ident) {
	seen := map[models.Ident]bool{}
	for _, item := range u.items {
		if item.err == nil && !seen[item.hash] {
			seen[item.hash] = true
			all = append(all, item.hash)
		}
	}
	return all
}

// look finds which images the account has, and whose file is gone, as after a restore of the database: they get it back.
func (u *upload) look(ctx context.Context) error {
	r := u.s.store.View(ctx)
	rows, err := r.ImagesByHash(u.c.Account.Key, u.hashes())
	if err != nil {
		return err
	}
	if u.today, err = u.uploaded(r); err != nil {
		return err
	}
	u.known = make(map[models.Ident]*models.Image, len(rows))
	for _, row := range rows {
		u.known[row.Hash] = row
		if u.s.blobs == nil {
			continue
		}
		there, err := u.s.blobs.Exists(ctx, row.BlobKey())
		if err != nil {
			u.files[row.Hash] = &uploadFile{row: row, isBack: true, err: u.unkept(ctx, err)}
		} else if !there {
			u.files[row.Hash] = &uploadFile{row: row, isBack: true}
		}
	}
	return nil
}

// unkept says that a file could not be kept, or not be looked for.
func (u *upload) unkept(ctx context.Context, err error) *models.Error {
	u.s.log.WarnContext(ctx, "an image could not be kept", "account", u.c.Account.Key.String(), "error", err)
	return models.Errorf(models.CodeUnavailable, "the image could not be kept; try again")
}

// dataOf is the bytes with a hash, if one of the first so many items has them.
func (u *upload) dataOf(hash models.Ident, among int) []byte {
	for _, item := range u.items[:among] {
		if item.err == nil && item.hash == hash {
			return item.data
		}
	}
	return nil
}

// keep puts the files of images that the account has not into object storage, and those that are missing. Before the first of them is there a row says that
// it belongs to no image: whatever dies in between, the sweep finds it.
func (u *upload) keep(ctx context.Context) error {
	a := u.c.Account
	count, size, today := a.ImageCount, a.ImageBytes, len(u.today)
	var rows []*models.ImageFile
	puts := map[models.Ident][]byte{}
	for i, item := range u.items {
		if item.err != nil {
			continue
		}
		f := u.files[item.hash]
		switch {
		case f == nil && u.known[item.hash] != nil, f != nil && (!f.isBack || f.err != nil || puts[item.hash] != nil):
			continue
		case f == nil:
			f = &uploadFile{}
			u.files[item.hash] = f
			// The transaction would say the same of both.
			if f.err = noRoom(imageField(i), count, size, int64(len(item.data))); f.err == nil {
				f.err = u.noDay(imageField(i), today)
			}
			if f.err != nil {
				continue
			}
			count, size, today = count+1, size+int64(len(item.data)), today+1
			f.row = &models.Image{
				AccountID: a.Key, Key: models.NewKey(), Hash: item.hash, Type: models.ImageType(item.info.Type), Width: item.info.Width, Height: item.info.Height,
				Bytes: int64(len(item.data)), By: u.c.by(),
			}
		}
		puts[item.hash] = item.data
		held := &models.ImageFile{AccountID: a.Key, Key: f.row.Key, DueAt: u.s.Now().Add(limits.ImageKept)}
		if f.isBack {
			held.Key, held.ImageID = models.NewKey(), f.row.Key
		}
		f.held, rows = held.Key, append(rows, held)
	}
	if len(rows) == 0 {
		return nil
	}
	if u.s.blobs == nil {
		return models.Errorf(models.CodeUnavailable, "images cannot be kept here")
	}
	err := u.s.store.Write(ctx, store.System(), a.Key, func(tx *store.Tx) error { return tx.PutImageFiles(rows) })
	if err != nil {
		return err
	}
	for hash, data := range puts {
		f := u.files[hash]
		if err := u.s.blobs.Put(ctx, f.row.BlobKey(), data, f.row.Type.MediaType()); err != nil {
			f.err = u.unkept(ctx, err)
		}
	}
	return nil
}

// lookAgain has the sweep delete the files that were given back to images which are gone, now; those of which storage did not say that they are there, after
// limits.ImageKept, since they may come yet.
func (u *upload) lookAgain(ctx context.Context) error {
	var over []models.Key
	for hash, f := range u.files {
		if !f.isBack {
			continue
		}
		if f.err == nil {
			over = append(over, f.held)
		}
		delete(u.files, hash)
	}
	if len(over) == 0 {
		return nil
	}
	return u.s.store.Write(ctx, store.System(), u.c.Account.Key, func(tx *store.Tx) error { return tx.DueImageFiles(over) })
}

// uploaded is upload.today as it is now.
func (u *upload) uploaded(r *store.Reader) (map[models.Key]bool, error) {
	today := map[models.Key]bool{}
	if u.c.Advisor == nil {
		return today, nil
	}
	keys, err := r.ImagesUploaded(u.c.Account.Key, u.c.Advisor.Key, u.s.Now().Add(-limits.ImageDay))
	for _, k := range keys {
		today[k] = true
	}
	return today, err
}

// noDay says why an advisor who uploaded so many images in the past limits.ImageDay uploads no further one; nil: they do, or it is no advisor.
func (u *upload) noDay(field string, today int) *models.Error {
	if u.c.Advisor != nil && today >= limits.ImagesPerAdvisorDay {
		return models.TooMany(field, limits.ImagesPerAdvisorDay, "an advisor uploads at most %d images in 24 hours", limits.ImagesPerAdvisorDay)
	}
	return nil
}

// noRoom says why an account that keeps so many images and bytes keeps no further one of a size; nil: it does.
func noRoom(field string, count int, size, more int64) *models.Error {
	switch {
	case count >= limits.ImagesPerAccount:
		return models.TooMany(field, limits.ImagesPerAccount, "the account keeps %d images", limits.ImagesPerAccount)
	case size+more > limits.ImageMiBPerAccount<<20:
		return models.TooMany(field, limits.ImageMiBPerAccount, "the account keeps at most %d MiB of images", limits.ImageMiBPerAccount)
	}
	return nil
}

// write writes the images under the account's lock, under which they are counted and deleted.
func (u *upload) write(tx *store.Tx) (again bool, err error) {
	a, err := tx.LockAccount()
	if err != nil {
		return false, err
	}
	if !a.IsOpen() {
		return false, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	rows, err := tx.ImagesByHash(tx.Account, u.hashes())
	if err != nil {
		return false, err
	}
	had := make(map[models.Ident]bool, len(rows))
	for _, row := range rows {
		had[row.Hash], u.known[row.Hash] = true, row
	}
	today, err := u.uploaded(&tx.Reader)
	if err != nil {
		return false, err
	}
	b := &imageBatch{tx: tx, account: a}
	items := make([]models.ItemResult, len(u.items))
	for i, item := range u.items {
		if items[i].Err = item.err; item.err != nil {
			continue
		}
		f, known := u.files[item.hash], u.known[item.hash]
		if !had[item.hash] {
			switch {
			case f == nil, f.isBack:
				return true, nil
			case f.err != nil:
				items[i].Err = atField(f.err, imageField(i))
				continue
			}
			known = f.row
		}
		why := u.noDay(imageField(i), len(today))
		switch {
		case why != nil && today[known.Key]:
			why = nil
		case why == nil && !had[item.hash]:
			why = noRoom(imageField(i), a.ImageCount, a.ImageBytes, known.Bytes)
		}
		if f != nil && f.isBack && f.row.Key == known.Key {
			if why == nil {
				why = atField(f.err, imageField(i))
			}
			b.back = append(b.back, f.held)
		} else if f != nil && f.row != nil && f.err == nil && (why != nil || f.row.Key != known.Key) {
			b.over = append(b.over, f.held) // somebody else came with the same bytes meanwhile, or it is one too many
		}
		if items[i].Err = why; why != nil {
			continue
		}
		if had[item.hash] {
			b.again = append(b.again, known.Key)
		} else {
			b.add(known)
			u.known[item.hash], had[item.hash], items[i].Changed = known, true, true
		}
		today[known.Key] = true
		items[i].Target = known.Key
	}
	if err := b.save(u.c.Advisor, items); err != nil {
		return false, err
	}
	u.decided = items
	return false, tx.Audit(store.Change{Action: mayUploadImages.Field, TargetKind: "Account", Target: tx.Account, Items: items})
}

// atField is an error of an item with its field; nil of none.
func atField(err *models.Error, field string) *models.Error {
	if err == nil {
		return nil
	}
	named := *err
	named.Field = field
	return &named
}

// imageBatch is what a transaction writes of images, under the account's lock.
type imageBatch struct {
	tx      *store.Tx
	account *models.Account
	fresh   []*models.Image
	again   []models.Key // of images that somebody came with once more
	over    []models.Key // of files that no image will have
	back    []models.Key // of files that are their images' again
}

func (b *imageBatch) add(row *models.Image) {
	row.CreatedAt, row.UnusedSince = b.tx.Now, b.tx.Now
	b.fresh = append(b.fresh, row)
	b.account.ImageCount++
	b.account.ImageBytes += row.Bytes
}

// save writes new images, keeps those that somebody came with again for another while, where nothing uses them, and says who uploaded them.
func (b *imageBatch) save(by *models.Advisor, items []models.ItemResult) error {
	tx := b.tx
	if len(b.fresh) > 0 {
		if err := tx.UpdateAccount(b.account, "image_count", "image_bytes"); err != nil {
			return err
		}
	}
	// All are locked, also those that were used when they were read: they may not be by now.
	rows, err := tx.LockImages(b.again)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(row *models.Image) bool { return row.Uses > 0 })
	for _, row := range rows {
		row.Use(0, tx.Now)
	}
	if err := tx.UpdateImageUses(rows); err != nil {
		return err
	}
	keys := make([]models.Key, len(b.fresh))
	for i, row := range b.fresh {
		keys[i] = row.Key
	}
	if n, err := tx.TakeImageFiles(keys); err != nil || n != len(keys) {
		return errors.Join(err, models.Errorf(models.CodeUnavailable, "the upload took too long; try again"))
	}
	if err := tx.InsertImages(b.fresh); err != nil {
		return err
	}
	if _, err := tx.TakeImageFiles(b.back); err != nil {
		return err
	}
	if err := tx.DueImageFiles(b.over); err != nil {
		return err
	}
	if by == nil {
		return nil
	}
	var uploaders []*models.ImageUploader
	seen := map[models.Key]bool{}
	for _, item := range items {
		if !item.Target.IsZero() && !seen[item.Target] {
			seen[item.Target] = true
			uploaders = append(uploaders, &models.ImageUploader{AccountID: tx.Account, ImageID: item.Target, AdvisorID: by.Key, At: tx.Now})
		}
	}
	return tx.PutImageUploaders(uploaders)
}

func (u *upload) results(ctx context.Context) ([]ImageResult, error) {
	shown := map[models.Key]*models.Image{}
	for i, item := range u.decided {
		if item.Err == nil {
			shown[item.Target] = u.known[u.items[i].hash]
		}
	}
	shown, err := u.s.showImages(ctx, u.c, shown)
	if err != nil {
		return nil, err
	}
	results := make([]ImageResult, len(u.items))
	for i, item := range u.decided {
		if item.Err != nil {
			results[i].Err = item.Err
			continue
		}
		results[i].Image = shown[item.Target]
	}
	return results, nil
}
