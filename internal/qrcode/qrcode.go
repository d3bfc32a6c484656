// Package qrcode draws QR codes as PNG and SVG, of any size and with a picture in the middle. It knows
// nothing of what the codes are for.
package qrcode

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // pictures may be of this kind
	_ "image/jpeg"
	"image/png"
	"strings"

	"github.com/boombuler/barcode/qr"
	"golang.org/x/image/draw"
)

// Format is what a code is drawn as.
type Format int

// The formats.
const (
	PNG Format = iota
	SVG
)

// Picture is what to draw. The zero Format is PNG.
type Picture struct {
	// Text is what the code says, at most 1,000 bytes.
	Text   string
	Format Format
	// Size is the width and height in pixels. Modules are of one whole number of pixels; what is left of the
	// size is margin, of 4 modules at least on each side.
	Size int
	// Avatar stands in the middle, cut to a square; nil: nothing does.
	Avatar image.Image
}

// ErrSize is what Draw answers when the code does not fit into the size: it has no pixel for each module.
var ErrSize = errors.New("the code does not fit into so few pixels")

// What readers ask for, and what they can do without.
const (
	quiet = 4 // modules of white around a code; source: ISO/IEC 18004
	// avatarShare is the most of a code's width that an avatar with its frame takes, 1 in so many: about
	// 5 % of what is drawn, of which the error correction makes up 30 %.
	avatarShare = 9.0 / 41
	// embedded is the width in pixels of the avatar in an SVG.
	embedded = 256
)

// Draw draws a code. One with an avatar has the highest error correction, others the middle one.
func Draw(p Picture) ([]byte, error) {
	level := qr.M
	if p.Avatar != nil {
		level = qr.H
	}
	code, err := qr.Encode(p.Text, level, qr.Unicode)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	d := drawing{Picture: p, code: code, modules: code.Bounds().Dx()}
	if p.Size < d.modules+2*quiet {
		return nil, ErrSize
	}
	if p.Format == SVG {
		return d.svg()
	}
	return d.png()
}

// drawing is a code that is drawn.
type drawing struct {
	Picture
	code    image.Image
	modules int
}

func (d *drawing) isDark(x, y int) bool {
	v, _, _, _ := d.code.At(x, y).RGBA()
	return v == 0
}

// frame is the modules that the avatar covers with its frame: an odd number, as a code's width is, so that it
// stands on whole ones.
func (d *drawing) frame() int {
	n := int(float64(d.modules) * avatarShare)
	if n%2 == 0 {
		n--
	}
	return max(n, 1)
}

// png draws in two colours, or with all of the avatar's.
func (d *drawing) png() ([]byte, error) {
	module := d.Size / (d.modules + 2*quiet)
	margin := (d.Size - module*d.modules) / 2
	all := image.Rect(0, 0, d.Size, d.Size)
	var to draw.Image = image.NewPaletted(all, color.Palette{color.White, color.Black})
	if d.Avatar != nil {
		to = image.NewNRGBA(all)
		draw.Draw(to, all, image.White, image.Point{}, draw.Src)
	}
	for y := range d.modules {
		for x := 0; x < d.modules; {
			run := d.run(x, y)
			if run > 0 {
				at := image.Rect(x, y, x+run, y+1)
				draw.Draw(to, scaled(at, module, margin), image.Black, image.Point{}, draw.Src)
			}
			x += max(run, 1)
		}
	}
	if d.Avatar != nil {
		first := (d.modules - d.frame()) / 2
		box := scaled(image.Rect(first, first, first+d.frame(), first+d.frame()), module, margin)
		draw.Draw(to, box, image.White, image.Point{}, draw.Src)
		draw.CatmullRom.Scale(to, box.Inset((module+1)/2), d.Avatar, middle(d.Avatar.Bounds()), draw.Over, nil)
	}
	var b bytes.Buffer
	err := png.Encode(&b, to)
	return b.Bytes(), err
}

// scaled is a rectangle of modules in pixels.
func scaled(r image.Rectangle, module, margin int) image.Rectangle {
	return image.Rect(r.Min.X*module, r.Min.Y*module, r.Max.X*module, r.Max.Y*module).Add(image.Pt(margin, margin))
}

// middle is the largest square in the middle of a picture.
func middle(r image.Rectangle) image.Rectangle {
	side := min(r.Dx(), r.Dy())
	at := r.Min.Add(image.Pt((r.Dx()-side)/2, (r.Dy()-side)/2))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))}
}

// run is how many dark modules follow each other in a row from x on; 0: it is a light one.
func (d *drawing) run(x, y int) (n int) {
	for x+n < d.modules && d.isDark(x+n, y) {
		n++
	}
	return n
}

// svg draws in units of a module.
func (d *drawing) svg() ([]byte, error) {
	var b bytes.Buffer
	n := d.modules + 2*quiet
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<rect width="%d" height="%d" fill="#fff"/><path d="`, d.Size, d.Size, n, n, n, n)
	for y := range d.modules {
		for x := 0; x < d.modules; {
			run := d.run(x, y)
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += max(run, 1)
		}
	}
	b.WriteString(`"/>`)
	if d.Avatar != nil {
		picture := image.NewNRGBA(image.Rect(0, 0, embedded, embedded))
		draw.CatmullRom.Scale(picture, picture.Bounds(), d.Avatar, middle(d.Avatar.Bounds()), draw.Src, nil)
		var text strings.Builder
		to := base64.NewEncoder(base64.StdEncoding, &text)
		if err := errors.Join(png.Encode(to, picture), to.Close()); err != nil {
			return nil, err
		}
		first, side := quiet+(d.modules-d.frame())/2, d.frame()
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#fff"/>`, first, first, side, side)
		const inset = 0.5
		fmt.Fprintf(&b, `<image x="%g" y="%g" width="%g" height="%g" href="data:image/png;base64,%s"/>`,
			float64(first)+inset, float64(first)+inset, float64(side)-2*inset, float64(side)-2*inset, text.String())
	}
	b.WriteString(`</svg>`)
	return b.Bytes(), nil
}

// Reduce is the square in the middle of a picture in side by side pixels, quickly also of a very large one.
func Reduce(of image.Image, side int) image.Image {
	from := middle(of.Bounds())
	if most := 4 * side; from.Dx() > most {
		fewer := image.NewNRGBA(image.Rect(0, 0, most, most))
		draw.NearestNeighbor.Scale(fewer, fewer.Bounds(), of, from, draw.Src, nil)
		of, from = fewer, fewer.Bounds()
	}
	small := image.NewNRGBA(image.Rect(0, 0, side, side))
	draw.CatmullRom.Scale(small, small.Bounds(), of, from, draw.Src, nil)
	return small
}

// What DecodeAvatar refuses.
var (
	// ErrKind is for what is no PNG, JPEG or GIF, whatever it is called.
	ErrKind = errors.New("is no PNG, JPEG or GIF")
	// ErrPixels is for a picture of too many pixels; it is not unpacked.
	ErrPixels = errors.New("has too many pixels")
)

// DecodeAvatar reads a PNG, a JPEG or the first frame of a GIF of 1 to most pixels.
func DecodeAvatar(data []byte, most int) (image.Image, error) {
	about, kind, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil, kind != "png" && kind != "jpeg" && kind != "gif", about.Width < 1, about.Height < 1:
		return nil, ErrKind
	case about.Width > most || about.Height > most/about.Width:
		return nil, ErrPixels
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil || picture.Bounds().Empty() {
		return nil, ErrKind
	}
	return picture, nil
}
