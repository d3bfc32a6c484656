package services

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"time"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Blobs keeps files by key outside the database. Implementations are safe for concurrent use and honour ctx.
type Blobs interface {
	// Put keeps a file: once it has returned without an error, the file is there, whole.
	Put(ctx context.Context, key string, data []byte, mediaType string) error
	// Get opens a file; whoever reads it closes it. An error that wraps fs.ErrNotExist when there is none.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Exists reports whether there is a file.
	Exists(ctx context.Context, key string) (bool, error)
	// Delete deletes a file; one that is not there is deleted.
	Delete(ctx context.Context, key string) error
}

// sealURLSecret is the field under which what signs addresses is sealed.
const sealURLSecret = "url.secret"

// urlSecret is what the addresses of an account's images are signed with. It fails where the account has none, or none that can be opened.
func (s *Services) urlSecret(a *models.Account) ([]byte, error) {
	if len(a.SealedURLSecret) == 0 {
		return nil, errNoURLSecret
	}
	return s.ring.Open(a.Key, sealURLSecret, a.SealedURLSecret)
}

// newURLSecret is a new secret for an account, sealed.
func (s *Services) newURLSecret(account models.Key) []byte {
	var secret [limits.URLSecretBytes]byte
	_, _ = rand.Read(secret[:]) // it does not fail
	return s.ring.Seal(account, sealURLSecret, secret[:])
}

var errNoURLSecret = errors.New("the account has no secret for addresses")

// showImages gives images that the viewer is shown addresses that are good for limits.ImageURLLife (rule H6).
func (s *Services) showImages(ctx context.Context, c *Scope, rows map[models.Key]*models.Image) (map[models.Key]*models.Image, error) {
	if len(rows) == 0 {
		return rows, nil
	}
	secret, err := s.usableURLSecret(ctx, c.Account)
	if err != nil {
		return nil, err
	}
	for key, row := range rows {
		rows[key] = s.signed(row, secret)
	}
	return rows, nil
}

// usableURLSecret is urlSecret of an account that was read a while ago. Where there is none, or none that can be opened, it makes one: what the lost one signed would
// be good for limits.ImageURLLife at most (rule A4).
func (s *Services) usableURLSecret(ctx context.Context, a *models.Account) ([]byte, error) {
	if secret, err := s.urlSecret(a); err == nil {
		return secret, nil
	}
	var secret []byte
	err := s.store.Write(ctx, store.System(), a.Key, func(tx *store.Tx) error {
		a, err := tx.LockAccount()
		if err != nil {
			return err
		}
		if secret, err = s.urlSecret(a); err == nil {
			return nil
		}
		if !errors.Is(err, errNoURLSecret) { // else it is older than images are
			s.log.WarnContext(ctx, "an account's secret for addresses of images cannot be opened; it gets another", "account", a.Key.String(), "error", err)
		}
		a.SealedURLSecret = s.newURLSecret(a.Key)
		if secret, err = s.urlSecret(a); err != nil {
			return err
		}
		return tx.UpdateAccount(a, "sealed_url_secret")
	})
	return secret, err
}

func (s *Services) signed(image *models.Image, secret []byte) *models.Image {
	shown := *image
	expires := s.Now().Add(limits.ImageURLLife).Go().Unix()
	shown.URLExpiresAt = models.At(time.Unix(expires, 0))
	signature := base64.RawURLEncoding.EncodeToString(models.SignImage(secret, image.AccountID, image.Key, expires))
	shown.URL = s.publicURL + "/images/" + image.AccountID.String() + "/" + image.Key.String() + "?e=" + strconv.FormatInt(expires, 10) + "&s=" + signature
	return &shown
}

// SignedImage is the image of an address, if its signature is right and it is good for a while yet, and until when it is. FORBIDDEN for every
// other address, whatever is wrong with it; NOT_FOUND for an image that is deleted. An address that is over, or good for longer than any is signed by
// a clock that is limits.ClockSkew ahead, is refused before the database is asked.
func (s *Services) SignedImage(ctx context.Context, account, image, expires, signature string) (*models.Image, models.Time, error) {
	forbidden := models.Errorf(models.CodeForbidden, "the address is not good, or not any more")
	key, isKey := models.ParseKey(account)
	which, isImage := models.ParseKey(image)
	until, err := strconv.ParseInt(expires, 10, 64)
	said, decodeErr := base64.RawURLEncoding.Strict().DecodeString(signature)
	// In one spelling only: an address is what is signed.
	if !isKey || !isImage || err != nil || decodeErr != nil || strconv.FormatInt(until, 10) != expires || key.String() != account || which.String() != image {
		return nil, 0, forbidden
	}
	if now := s.Now(); until <= now.Go().Unix() || until > now.Add(limits.ImageURLLife+limits.ClockSkew).Go().Unix() {
		return nil, 0, forbidden
	}
	a, err := s.store.View(ctx).Account(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, forbidden
	}
	if err != nil {
		return nil, 0, unavailable(err)
	}
	secret, err := s.urlSecret(a)
	if err != nil || !hmac.Equal(models.SignImage(secret, key, which, until), said) {
		return nil, 0, forbidden
	}
	rows, err := s.store.View(ctx).Images(key, []models.Key{which})
	switch {
	case err != nil:
		return nil, 0, unavailable(err)
	case len(rows) == 0:
		return nil, 0, models.NotFound("image", "")
	}
	return rows[0], models.At(time.Unix(until, 0)), nil
}

// OpenImage opens an image's bytes; whoever reads them closes them. NOT_FOUND when they are gone with the image; UNAVAILABLE when storage does not answer.
func (s *Services) OpenImage(ctx context.Context, image *models.Image) (io.ReadCloser, error) {
	if s.blobs == nil {
		return nil, models.Errorf(models.CodeUnavailable, "images cannot be read here")
	}
	file, err := s.blobs.Get(ctx, image.BlobKey())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.log.WarnContext(ctx, "the file of an image is not there", "account", image.AccountID.String(), "image", image.Key.String())
		return nil, models.NotFound("image", "")
	case err != nil:
		return nil, s.unread(ctx, image, err)
	}
	return file, nil
}

// unread says that the bytes of an image could not be read.
func (s *Services) unread(ctx context.Context, image *models.Image, err error) error {
	if ctx.Err() == nil {
		s.log.WarnContext(ctx, "the file of an image could not be read", "account", image.AccountID.String(), "image", image.Key.String(), "error", err)
	}
	return models.Errorf(models.CodeUnavailable, "the image cannot be read now; try again")
}

// AvatarsByKeys reads images that rows which the viewer was shown refer to.
func (s *Services) AvatarsByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Image, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Images(c.Account.Key, keys)
	if err != nil {
		return nil, err
	}
	return s.showImages(ctx, c, imagesByKey(rows))
}

// ImagesByKeys reads images that the viewer may see: an ADVISOR those that they uploaded, their own avatar, and avatars of customers bound to them;
// an ANALYST with leave to read free text all (rules V2, V8).
func (s *Services) ImagesByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Image, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.imagesSeen(s.store.View(ctx), c, keys)
	if err != nil {
		return nil, err
	}
	return s.showImages(ctx, c, rows)
}

func (s *Services) imagesSeen(r *store.Reader, c *Scope, keys []models.Key) (map[models.Key]*models.Image, error) {
	switch {
	case len(keys) == 0, !c.readsFreeText(), c.Viewer.Role == auth.RoleAdvisor && c.refusal != nil:
		return nil, nil //nolint:nilnil // none.
	case c.Advisor == nil:
		rows, err := r.Images(c.Account.Key, keys)
		return imagesByKey(rows), err
	}
	rows, err := r.ImagesOfAdvisor(c.Account.Key, c.Advisor.Key, keys)
	found := imagesByKey(rows)
	if err != nil || c.Advisor.AvatarID.IsZero() || found[c.Advisor.AvatarID] != nil {
		return found, err
	}
	for _, k := range keys {
		if k == c.Advisor.AvatarID {
			own, err := r.Images(c.Account.Key, []models.Key{k})
			for _, row := range own {
				found[k] = row
			}
			return found, err
		}
	}
	return found, nil
}

func imagesByKey(rows []*models.Image) map[models.Key]*models.Image {
	found := make(map[models.Key]*models.Image, len(rows))
	for _, row := range rows {
		found[row.Key] = row
	}
	return found
}

// readImage is an image's bytes. Errors as of OpenImage.
func (s *Services) readImage(ctx context.Context, image *models.Image) ([]byte, error) {
	from, err := s.OpenImage(ctx, image)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	data, err := io.ReadAll(io.LimitReader(from, limits.ImageBytes))
	if err != nil {
		return nil, s.unread(ctx, image, err)
	}
	return data, nil
}
