package services

import "clientele/models"

// picture is what becomes of somebody's picture: an address or one of the account's images, or neither.
type picture struct {
	isGiven bool // else it stays
	url     string
	image   models.Key
}

// pictureOf checks a picture that is given by address or by image; nil: it is not. An empty address and the zero image are none. INVALID when both
// are given.
func pictureOf(url *string, image *models.Key, field string) (p picture, err error) {
	switch {
	case url != nil && image != nil:
		return p, models.Invalid(field+".avatarImageId", "is given beside avatarUrl")
	case image != nil:
		return picture{isGiven: true, image: *image}, nil
	case url == nil:
		return p, nil
	case *url != "":
		err = checkPicture(*url, field+".avatarUrl")
	}
	return picture{isGiven: true, url: *url}, err
}

// images is the image that it is, if any.
func (p picture) images() []models.Key {
	if p.image.IsZero() {
		return nil
	}
	return []models.Key{p.image}
}

// put writes the picture, and gathers the uses of images; it reports whether that changed anything.
func (p picture) put(url *string, image *models.Key, uses imageUses) bool {
	if !p.isGiven || *url == p.url && *image == p.image {
		return false
	}
	uses.moved(*image, p.image)
	*url, *image = p.url, p.image
	return true
}

// withPicture adds an image to what the audit log tells.
func withPicture(told map[string]any, image models.Key) map[string]any {
	if !image.IsZero() {
		told["avatarImageId"] = imageID(image)
	}
	return told
}

// imageID is the global id of an image; null for none.
func imageID(key models.Key) any {
	if key.IsZero() {
		return nil
	}
	return (&models.Image{Key: key}).ID().String()
}
