package services

import (
	"context"
	"encoding/base64"
	"errors"
	"image"
	"sync"

	"clientele/internal/imagefile"
	"clientele/internal/qrcode"
	"clientele/limits"
	"clientele/models"
)

// CodePicture is a picture of a code that is asked for (rule C4).
type CodePicture struct {
	Code   models.Key
	Format models.QRCodeFormat
	Size   int
	// Avatar is a picture for the middle, in base64; nil: none. It comes with the call: the server fetches
	// none (ADR 0030).
	Avatar *string
	// OfAdvisor: the image that the code's advisor has as avatar stands in the middle.
	OfAdvisor bool
}

// QRCodeURL is what a code's picture says; nil while the account's platform does not know the code.
func (s *Services) QRCodeURL(ctx context.Context, code *models.QRCode) (*string, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if text := s.codeURL(c.Account, code); text != "" {
		return &text, nil
	}
	return nil, nil //nolint:nilnil // not yet.
}

func (s *Services) codeURL(a *models.Account, code *models.QRCode) string {
	if ch := s.channels[a.Channel]; ch != nil {
		return ch.CodeURL(a, code)
	}
	return ""
}

// QRCodePicture draws a code that the viewer may see. Errors: INVALID, LIMIT_EXCEEDED, NOT_FOUND, STATE.
func (s *Services) QRCodePicture(ctx context.Context, in CodePicture) (*models.QRCodePicture, error) {
	c, err := s.begin(ctx, mayQRCodePicture)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Size < limits.CodePictureMin:
		return nil, models.Invalid("size", "is not at least %d", limits.CodePictureMin)
	case in.Size > limits.CodePictureMax:
		return nil, models.TooMany("size", limits.CodePictureMax, "at most %d pixels", limits.CodePictureMax)
	}
	codes, err := s.QRCodesByKeys(ctx, []models.Key{in.Code})
	if err != nil {
		return nil, err
	}
	code := codes[in.Code]
	if code == nil {
		return nil, models.NotFound("code", "codeId")
	}
	if in.OfAdvisor && in.Avatar != nil {
		return nil, models.Invalid("hasAdvisorAvatar", "is given beside avatar")
	}
	text := s.codeURL(c.Account, code)
	if text == "" {
		return nil, models.Errorf(models.CodeState, "the platform does not know the code")
	}
	// Before a place is taken: who reads an image waits for others that do, and plain codes are drawn meanwhile.
	var avatar image.Image
	if in.OfAdvisor {
		if avatar, err = s.advisorAvatar(ctx, c, code); err != nil {
			return nil, err
		}
	}
	select {
	case s.drawing <- struct{}{}:
		defer func() { <-s.drawing }()
	case <-ctx.Done():
		return nil, models.Errorf(models.CodeUnavailable, "too many pictures are being drawn; try again")
	}
	if in.Avatar != nil {
		if avatar, err = decodeAvatar(*in.Avatar); err != nil {
			return nil, err
		}
	}
	format, media := qrcode.PNG, "image/png"
	if in.Format == models.QRCodeSVG {
		format, media = qrcode.SVG, "image/svg+xml"
	}
	data, err := qrcode.Draw(qrcode.Picture{Text: text, Format: format, Size: in.Size, Avatar: avatar})
	if err != nil {
		return nil, err
	}
	return &models.QRCodePicture{URL: text, MediaType: media, Size: in.Size, Data: base64.StdEncoding.EncodeToString(data)}, nil
}

// decodeAvatar reads the picture for the middle of a code.
func decodeAvatar(text string) (image.Image, error) {
	const field = "avatar"
	if base64.StdEncoding.DecodedLen(len(text)) > limits.CodeAvatarBytes+2 { // before padding is known
		return nil, models.TooMany(field, limits.CodeAvatarBytes, "at most %d bytes", limits.CodeAvatarBytes)
	}
	data, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil:
		return nil, models.Invalid(field, "is no base64")
	case len(data) > limits.CodeAvatarBytes:
		return nil, models.TooMany(field, limits.CodeAvatarBytes, "at most %d bytes", limits.CodeAvatarBytes)
	}
	picture, err := qrcode.DecodeAvatar(data, limits.CodeAvatarPixels)
	switch {
	case errors.Is(err, qrcode.ErrPixels):
		return nil, models.TooMany(field, limits.CodeAvatarPixels, "at most %d pixels", limits.CodeAvatarPixels)
	case err != nil:
		return nil, models.Invalid(field, "%s", err.Error())
	}
	return picture, nil
}

// codeAvatars are images of advisors as they go into codes, which a node keeps: an image never changes.
type codeAvatars struct {
	mu   sync.Mutex
	kept map[models.Key]image.Image
}

func (a *codeAvatars) get(key models.Key) image.Image {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[key]
}

func (a *codeAvatars) keep(key models.Key, picture image.Image) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for other := range a.kept { // any one
		if len(a.kept) < limits.CodeAvatarsKept {
			break
		}
		delete(a.kept, other)
	}
	a.kept[key] = picture
}

// advisorAvatar is the image that the advisor has as avatar to whom a code leads. STATE when they have none, or it is a group's code; LIMIT_EXCEEDED for
// an image that takes more memory than limits.ImageDecodeBytes.
func (s *Services) advisorAvatar(ctx context.Context, c *Scope, code *models.QRCode) (image.Image, error) {
	const field = "hasAdvisorAvatar"
	none := &models.Error{Code: models.CodeState, Field: field, Message: "the code leads to no advisor with an image as avatar"}
	if code.Kind != models.QRCodeAdvisor || !c.readsFreeText() {
		return nil, none
	}
	r := s.store.View(ctx)
	advisors, err := r.Advisors(c.Account.Key, []models.Key{code.OwnerID})
	if err != nil {
		return nil, err
	}
	if len(advisors) == 0 || advisors[0].AvatarID.IsZero() {
		return nil, none
	}
	key := advisors[0].AvatarID
	if kept := s.avatars.get(key); kept != nil {
		return kept, nil
	}
	rows, err := r.Images(c.Account.Key, []models.Key{key})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, none
	}
	data, err := s.readImage(ctx, rows[0])
	if models.CodeOf(err) == models.CodeNotFound {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	done, err := s.unpacking(ctx, c.Account.Key)
	if err != nil {
		return nil, err
	}
	defer done()
	about, err := imagefile.Examine(ctx, data, imageLimits)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, none
	}
	if about.Memory > limits.ImageDecodeBytes {
		return nil, models.TooMany(field, limits.ImageDecodeBytes, "the image takes more than %d bytes of memory", limits.ImageDecodeBytes)
	}
	whole, err := qrcode.DecodeAvatar(data, limits.ImagePixels)
	if err != nil {
		return nil, none
	}
	small := qrcode.Reduce(whole, limits.CodeAvatarSide)
	s.avatars.keep(key, small)
	return small, nil
}
