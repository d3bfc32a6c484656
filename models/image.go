package models

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"clientele/internal/relay"
	"clientele/limits"
)

// ImageType is the format of an image, found by its content (rule H6).
type ImageType string

// The formats.
const (
	ImagePNG  ImageType = "PNG"
	ImageJPEG ImageType = "JPEG"
	ImageGIF  ImageType = "GIF"
)

// MediaType is the format as HTTP calls it.
func (t ImageType) MediaType() string {
	switch t {
	case ImagePNG:
		return "image/png"
	case ImageJPEG:
		return "image/jpeg"
	case ImageGIF:
		return "image/gif"
	}
	return "application/octet-stream"
}

// Image is an image that an account keeps (rule H6). Its bytes are a file in object storage, which is there before the row is; they never
// change, and no two images of an account have the same.
type Image struct {
	AccountID Key       `gorm:"column:account_id;primaryKey"`
	Key       Key       `gorm:"column:id;primaryKey"`
	Hash      Ident     `gorm:"column:hash"` // SHA-256 of the bytes
	Type      ImageType `gorm:"column:image_type"`
	Width     int       `gorm:"column:width"`
	Height    int       `gorm:"column:height"`
	Bytes     int64     `gorm:"column:byte_count"`
	// Uses is how many rows refer to it. While none does, UnusedSince is from when on, else 0.
	Uses        int    `gorm:"column:uses"`
	UnusedSince Time   `gorm:"column:unused_since"`
	By          string `gorm:"column:made_by"` // role and subject of who uploaded it first
	CreatedAt   Time   `gorm:"column:created_at;autoCreateTime:false"`

	// URL is its signed address, good until URLExpiresAt; of a row that is shown.
	URL          string `gorm:"-"`
	URLExpiresAt Time   `gorm:"-"`
}

// TableName names the table for the mapper.
func (Image) TableName() string { return "image" }

// ID is the image's global id.
func (i *Image) ID() relay.ID { return relay.ID{Kind: KindImage, Key: i.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Image) IsNode() {}

// BlobKey is the name of the image's file in object storage. It is never used again for another.
func (i *Image) BlobKey() string { return i.AccountID.String() + "/" + i.Key.String() }

// Use counts n more uses, or fewer where n is below zero, at an instant.
func (i *Image) Use(n int, now Time) {
	i.Uses += n
	i.UnusedSince = 0
	if i.Uses <= 0 {
		i.Uses, i.UnusedSince = 0, now
	}
}

// IsOver reports whether an image is to be deleted at an instant: nothing has used it for limits.ImageKept.
func (i *Image) IsOver(now Time) bool {
	return i.Uses == 0 && !i.UnusedSince.IsZero() && i.UnusedSince <= now.Add(-limits.ImageKept)
}

// ImageForgotten is Image.UnusedSince of one that is not to be kept any longer: what an erased person used alone (rule E13).
const ImageForgotten Time = 1

// ImageUploader says that an advisor uploaded an image, so that they may see it (rule V2).
type ImageUploader struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	ImageID   Key `gorm:"column:image_id;primaryKey"`
	AdvisorID Key `gorm:"column:advisor_id;primaryKey"`
	// At is when they last did.
	At Time `gorm:"column:at"`
}

// TableName names the table for the mapper.
func (ImageUploader) TableName() string { return "image_uploader" }

// ImageFile is a file in object storage that belongs to no image: not yet, or not any more. It is deleted from DueAt on. One of an image that is there is being given
// back, or was by a call that did not end, and stays. Each call that gives a file back has a row of its own, so that what becomes of one takes nothing from another,
// which may be about to write the file again.
type ImageFile struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	// Key is that of the image whose file it is, or was; of one that is given back, the call's own.
	Key Key `gorm:"column:id;primaryKey"`
	// ImageID is the image to which it is given back; zero: that of Key.
	ImageID Key  `gorm:"column:image_id"`
	DueAt   Time `gorm:"column:due_at"`
}

// TableName names the table for the mapper.
func (ImageFile) TableName() string { return "image_file" }

// Image is the key of the image whose file it is, or was.
func (f *ImageFile) Image() Key {
	if f.ImageID.IsZero() {
		return f.Key
	}
	return f.ImageID
}

// BlobKey is as Image.BlobKey.
func (f *ImageFile) BlobKey() string {
	return (&Image{AccountID: f.AccountID, Key: f.Image()}).BlobKey()
}

// SignImage is the signature of an image's address that is good until an instant, in whole seconds, by an account's secret (rule A4).
func SignImage(secret []byte, account, image Key, expires int64) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("clientele image\n"))
	mac.Write(account[:])
	mac.Write(image[:])
	_ = binary.Write(mac, binary.BigEndian, expires) // a hash takes everything
	return mac.Sum(nil)
}
