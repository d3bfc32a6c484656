package services

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

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
	u := &upload{s: s, c: c, items: make([]uploadItem, len(files)), fresh: map[models.Ident]*freshImage{}}
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
		case attempt == uploadAttempts:
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
	fresh map[models.Ident]*freshImage // by hash; kept in object storage by this call
	known map[models.Ident]*models.Image
	// decided is what came of the items.
	decided []models.ItemResult
}

type uploadItem struct {
	hash models.Ident
	data []byte
	info imagefile.Info
	err  *models.Error
}

// freshImage is an image that the account had not.
type freshImage struct {
	row *models.Image
	err *models.Error // its file could not be kept
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
	}
	return nil
}

var imageLimits = imagefile.Limits{Pixels: limits.ImagePixels, FramePixels: limits.ImageFramePixels, Frames: limits.ImageFrames, Memory: limits.ImageDecodeBytes}

// unpacking waits for a place among limits.ImagesDecodedAtOnce, of which an account has one; done gives it back.
func (s *Services) unpacking(ctx context.Context, account models.Key) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	busy := models.Errorf(models.CodeUnavailable, "too many images are being read; try again")
	own := s.decoders.of(account)
	select {
	case own.place <- struct{}{}:
	case <-ctx.Done():
		s.decoders.forget(account)
		return nil, busy
	}
	select {
	case s.decoding <- struct{}{}:
		return func() {
			<-s.decoding
			<-own.place
			s.decoders.forget(account)
		}, nil
	case <-ctx.Done():
		<-own.place
		s.decoders.forget(account)
		return nil, busy
	}
}

// decoders are the accounts whose images are unpacked, or wait for it. It is safe for concurrent use.
type decoders struct {
	mu        sync.Mutex
	byAccount map[models.Key]*decoder
}

// decoder is the one place of an account; known is how many have it or want it.
type decoder struct {
	place chan struct{}
	known int
}

// of is the account's place, until as many calls of forget.
func (d *decoders) of(account models.Key) *decoder {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.byAccount[account]
	if own == nil {
		own = &decoder{place: make(chan struct{}, 1)}
		d.byAccount[account] = own
	}
	own.known++
	return own
}

func (d *decoders) forget(account models.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.byAccount[account]
	if own.known--; own.known == 0 {
		delete(d.byAccount, account)
	}
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

// look finds which images the account has. One whose file is gone, as after a restore of the database, gets it back.
func (u *upload) look(ctx context.Context) error {
	rows, err := u.s.store.View(ctx).ImagesByHash(u.c.Account.Key, u.hashes())
	u.known = make(map[models.Ident]*models.Image, len(rows))
	for _, row := range rows {
		u.known[row.Hash] = row
		if u.s.blobs == nil {
			continue
		}
		file, err := u.s.blobs.Get(ctx, row.BlobKey())
		if err == nil {
			_ = file.Close() // it is there
		} else if errors.Is(err, fs.ErrNotExist) {
			err = u.s.blobs.Put(ctx, row.BlobKey(), u.dataOf(row.Hash), row.Type.MediaType())
		}
		if err != nil {
			u.s.log.WarnContext(ctx, "an image could not be looked for", "account", row.AccountID.String(), "error", err)
		}
	}
	return err
}

// dataOf is the bytes of the call with a hash.
func (u *upload) dataOf(hash models.Ident) []byte {
	for _, item := range u.items {
		if item.err == nil && item.hash == hash {
			return item.data
		}
	}
	return nil
}

// keep puts the files of images that the account has not into object storage. Before the first of them is there a row says that it
// belongs to no image yet: whatever dies in between, the sweep finds it.
func (u *upload) keep(ctx context.Context) error {
	a := u.c.Account
	count, size := a.ImageCount, a.ImageBytes
	var files []*models.ImageFile
	puts := map[models.Ident]uploadItem{}
	for i, item := range u.items {
		if item.err != nil || u.known[item.hash] != nil || u.fresh[item.hash] != nil {
			continue
		}
		if why := noRoom(imageField(i), count, size, int64(len(item.data))); why != nil {
			u.fresh[item.hash] = &freshImage{err: why} // the transaction would say the same
			continue
		}
		count, size = count+1, size+int64(len(item.data))
		row := &models.Image{
			AccountID: a.Key, Key: models.NewKey(), Hash: item.hash, Type: models.ImageType(item.info.Type), Width: item.info.Width, Height: item.info.Height,
			Bytes: int64(len(item.data)), By: u.c.by(),
		}
		u.fresh[item.hash], puts[item.hash] = &freshImage{row: row}, item
		files = append(files, &models.ImageFile{AccountID: a.Key, Key: row.Key, DueAt: u.s.Now().Add(limits.ImageKept)})
	}
	if len(files) == 0 {
		return nil
	}
	if u.s.blobs == nil {
		return models.Errorf(models.CodeUnavailable, "images cannot be kept here")
	}
	err := u.s.store.Write(ctx, store.System(), a.Key, func(tx *store.Tx) error { return tx.InsertImageFiles(files) })
	if err != nil {
		return err
	}
	for hash, item := range puts {
		f := u.fresh[hash]
		if err := u.s.blobs.Put(ctx, f.row.BlobKey(), item.data, f.row.Type.MediaType()); err != nil {
			u.s.log.WarnContext(ctx, "an image could not be kept", "account", a.Key.String(), "error", err)
			f.err = models.Errorf(models.CodeUnavailable, "the image could not be kept; try again")
		}
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
	var unused []models.Key
	for _, row := range rows {
		had[row.Hash], u.known[row.Hash] = true, row
		if row.Uses == 0 {
			unused = append(unused, row.Key)
		}
	}
	b := &imageBatch{tx: tx, account: a}
	items := make([]models.ItemResult, len(u.items))
	for i, item := range u.items {
		if items[i].Err = item.err; item.err != nil {
			continue
		}
		f := u.fresh[item.hash]
		switch {
		case had[item.hash]:
			if f != nil && f.row != nil && f.row != u.known[item.hash] {
				b.over = append(b.over, f.row.Key) // somebody else came with the same bytes meanwhile
			}
		case f == nil:
			return true, nil
		case f.err != nil:
			items[i].Err = atField(f.err, imageField(i))
			continue
		default:
			if why := noRoom(imageField(i), a.ImageCount, a.ImageBytes, f.row.Bytes); why != nil {
				items[i].Err = why
				b.over = append(b.over, f.row.Key)
				continue
			}
			b.add(f.row)
			u.known[item.hash], had[item.hash], items[i].Changed = f.row, true, true
		}
		items[i].Target = u.known[item.hash].Key
	}
	if err := b.save(u.s, unused, u.c.Advisor, items); err != nil {
		return false, err
	}
	u.decided = items
	return false, tx.Audit(store.Change{Action: mayUploadImages.Field, TargetKind: "Account", Target: tx.Account, Items: items})
}

// atField is an error of an item with its field.
func atField(err *models.Error, field string) *models.Error {
	named := *err
	named.Field = field
	return &named
}

// imageBatch is what a transaction writes of images, under the account's lock.
type imageBatch struct {
	tx      *store.Tx
	account *models.Account
	fresh   []*models.Image
	over    []models.Key // of files that no image will have
}

func (b *imageBatch) add(row *models.Image) {
	row.CreatedAt, row.UnusedSince = b.tx.Now, b.tx.Now
	b.fresh = append(b.fresh, row)
	b.account.ImageCount++
	b.account.ImageBytes += row.Bytes
}

// save writes new images, keeps the unused ones that somebody came with for another while, and says who uploaded them.
func (b *imageBatch) save(s *Services, unused []models.Key, by *models.Advisor, items []models.ItemResult) error {
	tx := b.tx
	if len(b.fresh) > 0 {
		columns := []string{"image_count", "image_bytes"}
		if _, err := s.urlSecret(b.account); err != nil {
			b.account.SealedURLSecret = s.newURLSecret(tx.Account)
			columns = append(columns, "sealed_url_secret")
		}
		if err := tx.UpdateAccount(b.account, columns...); err != nil {
			return err
		}
	}
	rows, err := tx.LockImages(unused)
	if err != nil {
		return err
	}
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
