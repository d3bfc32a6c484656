// Package imagefile looks files of images over: what they are, how large, and whether they are whole. It tells the type by the content
// alone, reads the size before any pixel, and never holds more pixels than it was allowed: a file that unpacks into more than
// it says is found out at its first byte too many. It knows nothing of the product.
package imagefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
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
	// ErrFrames is for a GIF of more frames than are allowed.
	ErrFrames = errors.New("has too many frames")
	// ErrWork is for a JPEG whose scans go over its pixels more often than any that a program for pictures writes: each has a decoder go
	// through all of them again, however few bytes it has.
	ErrWork = errors.New("goes over its pixels too often")
	// ErrBroken is for a file that ends too early, is damaged, or is of a kind that decoders do not read.
	ErrBroken = errors.New("is damaged, ends too early, or cannot be read")
)

// Limits are what Examine allows.
type Limits struct {
	// Pixels is the most of width times height, FramePixels of all frames of a GIF together.
	Pixels, FramePixels int
	// Frames is the most frames of a GIF.
	Frames int
	// Memory is the most bytes of pixels that are unpacked at once. A JPEG that would take more is looked over without being unpacked:
	// that finds a file that ends too early, and not every kind of damage.
	Memory int
}

// Info is what a file is.
type Info struct {
	Type          Type
	Width, Height int
	// Memory is how many bytes whoever decodes it takes, or fewer: pixels, coefficients, and the other colours that they are put into.
	Memory int
}

// Examine reads a whole file. Errors: ErrType, ErrPixels, ErrFramePixels, ErrFrames, ErrWork, ErrBroken, and that of ctx when it ends. What stands behind an image's end, as cameras
// put it there, is passed over. It is safe for concurrent use.
func Examine(ctx context.Context, data []byte, most Limits) (info Info, err error) {
	switch {
	case ctx.Err() != nil:
	case bytes.HasPrefix(data, []byte(pngHead)):
		info, err = examinePNG(ctx, data, most)
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		info, err = examineJPEG(ctx, data, most)
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		info, err = examineGIF(ctx, data, most)
	default:
		err = ErrType
	}
	if ctx.Err() != nil { // a file that was not read to its end says nothing
		return Info{}, ctx.Err()
	}
	return info, err
}

// whileWanted reads until ctx ends.
type whileWanted struct {
	ctx  context.Context
	from io.Reader
}

func (w whileWanted) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.from.Read(b)
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
