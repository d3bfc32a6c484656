package qrcode_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"

	"clientele/internal/qrcode"
)

// read is what a code says to a reader that is not ours.
func read(tb testing.TB, picture image.Image) string {
	tb.Helper()
	bits, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		tb.Fatal(err)
	}
	result, err := zxing.NewQRCodeReader().Decode(bits, nil)
	if err != nil {
		tb.Fatalf("the code cannot be read: %v", err)
	}
	return result.GetText()
}

// rasterize draws our own SVGs, m pixels a module.
func rasterize(tb testing.TB, svg string, m int) image.Image {
	tb.Helper()
	size := regexp.MustCompile(`viewBox="0 0 (\d+) `).FindStringSubmatch(svg)
	if size == nil {
		tb.Fatalf("no SVG: %.200s", svg)
	}
	n, _ := strconv.Atoi(size[1])
	to := image.NewNRGBA(image.Rect(0, 0, n*m, n*m))
	fill := func(r image.Rectangle, c color.Color) {
		draw.Draw(to, image.Rect(r.Min.X*m, r.Min.Y*m, r.Max.X*m, r.Max.Y*m), image.NewUniform(c), image.Point{}, draw.Src)
	}
	fill(image.Rect(0, 0, n, n), color.White)
	_, path, _ := strings.Cut(svg, `<path d="`)
	path, rest, _ := strings.Cut(path, `"`)
	for part := range strings.SplitSeq(strings.TrimSuffix(path, "z"), "z") {
		var x, y, w, back int
		if _, err := fmt.Sscanf(part, "M%d %dh%dv1h-%d", &x, &y, &w, &back); err != nil || w != back {
			tb.Fatalf("%q: %v", part, err)
		}
		fill(image.Rect(x, y, x+w, y+1), color.Black)
	}
	if box := regexp.MustCompile(`<rect x="(\d+)" y="(\d+)" width="(\d+)"`).FindStringSubmatch(rest); box != nil {
		x, _ := strconv.Atoi(box[1])
		w, _ := strconv.Atoi(box[3])
		fill(image.Rect(x, x, x+w, x+w), color.NRGBA{R: 200, B: 90, A: 255}) // whatever the avatar shows
	}
	return to
}

// noise is a picture that helps no reader.
func noise(w, h int) image.Image {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range p.Pix {
		p.Pix[i] = byte(i * i >> 3)
		if i%4 == 3 {
			p.Pix[i] = 255
		}
	}
	return p
}

// Ensure another reader reads what we draw: every format and size, long and short texts, with an avatar of any
// shape and colour in the middle and without.
func TestCodesAreRead(t *testing.T) {
	texts := []string{"x", "https://sandbox.invalid/q/" + strings.Repeat("Aa0_", 6), "http://weixin.qq.com/q/" + strings.Repeat("z", 60), "扫码 ☕ " + strings.Repeat("long", 50)}
	avatars := map[string]image.Image{"none": nil, "black": image.NewGray(image.Rect(0, 0, 300, 300)), "noise": noise(640, 480), "tall": noise(3, 900), "one pixel": noise(1, 1)}
	for _, text := range texts {
		for name, avatar := range avatars {
			for _, size := range []int{200, 333, 430, 1280} {
				got, err := qrcode.Draw(qrcode.Picture{Text: text, Size: size, Avatar: avatar})
				if err != nil {
					t.Fatalf("%.10s, %s, %d: %v", text, name, size, err)
				}
				picture, err := png.Decode(bytes.NewReader(got))
				if err != nil || picture.Bounds() != image.Rect(0, 0, size, size) {
					t.Fatalf("%.10s, %s, %d: %v, %v", text, name, size, picture.Bounds(), err)
				}
				if said := read(t, picture); said != text {
					t.Errorf("%s, %d pixels: reads %q, want %q", name, size, said, text)
				}
				if _, twoColours := picture.(*image.Paletted); twoColours != (avatar == nil) {
					t.Errorf("%s is drawn as %T", name, picture)
				}
			}
			got, err := qrcode.Draw(qrcode.Picture{Text: text, Format: qrcode.SVG, Size: 430, Avatar: avatar})
			if err != nil {
				t.Fatal(err)
			}
			svg := string(got)
			if !strings.Contains(svg, `width="430" height="430"`) || strings.Contains(svg, "data:image/png;base64,iVBOR") != (avatar != nil) {
				t.Errorf("%s: %.300s", name, svg)
			}
			if said := read(t, rasterize(t, svg, 5)); said != text {
				t.Errorf("%s as SVG: reads %q, want %q", name, said, text)
			}
		}
	}
}

// Ensure an avatar is really shown: its colour stands in the middle, and white around it.
func TestAvatarIsInTheMiddle(t *testing.T) {
	red := image.NewUniform(color.NRGBA{R: 255, A: 255})
	avatar := image.NewNRGBA(image.Rect(10, 20, 110, 90)) // not from 0
	draw.Draw(avatar, avatar.Bounds(), red, image.Point{}, draw.Src)
	got, err := qrcode.Draw(qrcode.Picture{Text: "https://sandbox.invalid/q/abcdefghijklmnopqrstuv", Size: 430, Avatar: avatar})
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	reds := 0
	for x := range 430 {
		for y := range 430 {
			if r, g, b, _ := picture.At(x, y).RGBA(); r == 0xffff && g == 0 && b == 0 {
				reds++
				if x < 160 || x > 270 || y < 160 || y > 270 {
					t.Fatalf("red at %d, %d", x, y)
				}
			}
		}
	}
	if reds < 60*60 {
		t.Errorf("%d red pixels", reds)
	}
}

// Ensure codes that are drawn at the same time may have one avatar: drawing reads it and writes nothing to it, and each code is as if it were drawn alone.
func TestOneAvatarInManyCodes(t *testing.T) {
	avatar := qrcode.Reduce(noise(300, 200), 128)
	kept, ok := avatar.(*image.NRGBA)
	if !ok {
		t.Fatalf("an avatar is %T", avatar)
	}
	before := bytes.Clone(kept.Pix)
	pictures := []qrcode.Picture{
		{Text: "one", Size: 200, Avatar: avatar},
		{Text: "another one", Size: 430, Avatar: avatar},
		{Text: "one", Size: 200, Avatar: avatar, Format: qrcode.SVG},
		{Text: "another one", Size: 430, Avatar: avatar, Format: qrcode.SVG},
	}
	alone := make([][]byte, len(pictures))
	for i, p := range pictures {
		var err error
		if alone[i], err = qrcode.Draw(p); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, p := range slices.Concat(pictures, pictures) {
		wg.Go(func() {
			if got, err := qrcode.Draw(p); err != nil || !bytes.Equal(got, alone[i%len(pictures)]) {
				t.Errorf("picture %d is another one beside others, %v", i, err)
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(kept.Pix, before) {
		t.Error("drawing changed the avatar")
	}
}

// Ensure what does not fit is refused.
func TestTooSmall(t *testing.T) {
	const modules = 21 // of the shortest code
	if _, err := qrcode.Draw(qrcode.Picture{Text: "x", Size: modules + 7}); !errors.Is(err, qrcode.ErrSize) {
		t.Errorf("one pixel too few: %v", err)
	}
	if _, err := qrcode.Draw(qrcode.Picture{Text: "x", Size: modules + 8}); err != nil {
		t.Errorf("a pixel a module: %v", err)
	}
	if _, err := qrcode.Draw(qrcode.Picture{Text: strings.Repeat("x", 5_000), Size: 1_000}); err == nil {
		t.Error("5,000 bytes are drawn")
	}
}

// Ensure pictures are known by their content, and that none is unpacked that has more pixels than may be.
func TestDecodeAvatar(t *testing.T) {
	const most = 10_000
	encoded := func(encode func(*bytes.Buffer, image.Image) error, w, h int) []byte {
		var b bytes.Buffer
		if err := encode(&b, noise(w, h)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	asPNG := func(b *bytes.Buffer, p image.Image) error { return png.Encode(b, p) }
	asJPEG := func(b *bytes.Buffer, p image.Image) error { return jpeg.Encode(b, p, nil) }
	asGIF := func(b *bytes.Buffer, p image.Image) error { return gif.Encode(b, p, nil) }
	whole := encoded(asPNG, 100, 100)
	for _, tt := range []struct {
		name string
		data []byte
		want error
	}{
		{"PNG", whole, nil},
		{"JPEG", encoded(asJPEG, 100, 100), nil},
		{"GIF", encoded(asGIF, 100, 100), nil},
		{"long", encoded(asPNG, most, 1), nil},
		{"one pixel too many", encoded(asPNG, most+1, 1), qrcode.ErrPixels},
		{"one row too many", encoded(asPNG, 100, 101), qrcode.ErrPixels},
		{"cut off", whole[:len(whole)/2], qrcode.ErrKind},
		{"nothing", nil, qrcode.ErrKind},
		{"SVG", []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), qrcode.ErrKind},
		{"text", []byte("https://example.com/avatar.png"), qrcode.ErrKind},
	} {
		picture, err := qrcode.DecodeAvatar(tt.data, most)
		if !errors.Is(err, tt.want) || (err == nil) != (picture != nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzDecodeAvatar(f *testing.F) {
	var b bytes.Buffer
	_ = png.Encode(&b, noise(4, 4))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		picture, err := qrcode.DecodeAvatar(data, 1_000)
		if err != nil {
			return
		}
		if _, err := qrcode.Draw(qrcode.Picture{Text: "x", Size: 100, Avatar: picture}); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDraw(b *testing.B) {
	for name, p := range map[string]qrcode.Picture{
		"png": {Size: 1280}, "png with avatar": {Size: 1280, Avatar: noise(1000, 1000)}, "svg": {Format: qrcode.SVG, Size: 1280},
	} {
		b.Run(name, func(b *testing.B) {
			p.Text = "https://sandbox.invalid/q/abcdefghijklmnopqrstuv"
			b.ReportAllocs()
			for b.Loop() {
				if _, err := qrcode.Draw(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
