// Package imagefile looks files of images over: what they are, how large, and whether they are whole. It tells the type by the content
// alone, reads the size before any pixel, and never holds more pixels than it was allowed: a file that unpacks into more than
// it says is found out at its first byte too many. It knows nothing of the product.
package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/gif"
	"image/jpeg"
	"image/png"
)

// Type is the format of an image.
type Type string

// The formats.
const (
	PNG  Type = "PNG"
	JPEG Type = "JPEG"
	GIF  Type = "GIF"
)

// What Examine refuses.
var (
	// ErrType is for what is no PNG, JPEG or GIF, whatever it is called.
	ErrType = errors.New("is no PNG, JPEG or GIF")
	// ErrPixels is for more pixels than are allowed. None was unpacked.
	ErrPixels = errors.New("has too many pixels")
	// ErrFramePixels is for frames of a GIF that have more pixels together than are allowed.
	ErrFramePixels = errors.New("has frames of too many pixels together")
	// ErrBroken is for a file that ends too early, is damaged, or is of a kind that decoders do not read.
	ErrBroken = errors.New("is damaged, ends too early, or cannot be read")
)

// Limits are what Examine allows.
type Limits struct {
	// Pixels is the most of width times height, FramePixels of all frames of a GIF together.
	Pixels, FramePixels int
	// Memory is the most bytes of pixels that are unpacked at once. A JPEG that would take more is looked over without being unpacked:
	// that finds a file that ends too early, and not every kind of damage.
	Memory int
}

// Info is what a file is.
type Info struct {
	Type          Type
	Width, Height int
	// Memory is about how many bytes whoever decodes it needs.
	Memory int
}

// Examine reads a whole file. Errors: ErrType, ErrPixels, ErrFramePixels, ErrBroken. What stands behind an image's end, as cameras
// put it there, is passed over. It is safe for concurrent use.
func Examine(data []byte, most Limits) (Info, error) {
	switch {
	case bytes.HasPrefix(data, []byte(pngHead)):
		return examinePNG(data, most)
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return examineJPEG(data, most)
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return examineGIF(data, most)
	}
	return Info{}, ErrType
}

// sized is the header of a file, if its size is allowed.
func sized(t Type, width, height int, most Limits) (Info, error) {
	switch {
	case width < 1, height < 1:
		return Info{}, ErrBroken
	case width > most.Pixels || height > most.Pixels/width:
		return Info{}, ErrPixels
	}
	return Info{Type: t, Width: width, Height: height}, nil
}

func header(data []byte, t Type, most Limits) (Info, error) {
	read := png.DecodeConfig
	switch t {
	case JPEG:
		read = jpeg.DecodeConfig
	case GIF:
		read = gif.DecodeConfig
	case PNG:
	}
	c, err := read(bytes.NewReader(data))
	if err != nil {
		return Info{}, ErrBroken
	}
	return sized(t, c.Width, c.Height, most)
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
func le16(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }
