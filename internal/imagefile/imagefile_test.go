package imagefile_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"runtime"
	"testing"

	"clientele/internal/imagefile"
)

var most = imagefile.Limits{Pixels: 1 << 20, FramePixels: 1 << 21, Memory: 1 << 24}

// picture is an image with something on it.
func picture(w, h int) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range p.Pix {
		p.Pix[i] = byte(i * i >> 3)
	}
	return p
}

func encoded(tb testing.TB, t imagefile.Type, w, h int) []byte {
	tb.Helper()
	var b bytes.Buffer
	var err error
	switch t {
	case imagefile.PNG:
		err = png.Encode(&b, picture(w, h))
	case imagefile.JPEG:
		err = jpeg.Encode(&b, picture(w, h), nil)
	case imagefile.GIF:
		err = gif.Encode(&b, picture(w, h), nil)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// chunk is a part of a PNG with its sum.
func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngFile is a PNG by hand: grey, with these rows packed.
func pngFile(w, h uint32, depth, kind, interlace byte, rows []byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, w)
	head = append(binary.BigEndian.AppendUint32(head, h), depth, kind, 0, 0, interlace)
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(rows)
	_ = z.Close()
	b := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head)...)
	half := packed.Len() / 2
	b = append(append(b, chunk("IDAT", packed.Bytes()[:half])...), chunk("IDAT", packed.Bytes()[half:])...)
	return append(b, chunk("IEND", nil)...)
}

// Ensure each format is known by its content, with its size, at every size, and so with something behind it.
func TestExamine(t *testing.T) {
	for _, kind := range []imagefile.Type{imagefile.PNG, imagefile.JPEG, imagefile.GIF} {
		for _, size := range [][2]int{{1, 1}, {1, 300}, {257, 3}, {64, 64}, {1024, 1024}} {
			for _, behind := range []string{"", "trailer of a camera"} {
				got, err := imagefile.Examine(append(encoded(t, kind, size[0], size[1]), behind...), most)
				if err != nil || got.Type != kind || got.Width != size[0] || got.Height != size[1] || got.Memory < size[0]*size[1] {
					t.Errorf("%s of %v: %+v, %v", kind, size, got, err)
				}
			}
		}
	}
	interlaced := pngFile(2, 2, 8, 0, 1, []byte{0, 1, 0, 2, 0, 3, 4})
	if _, err := png.Decode(bytes.NewReader(interlaced)); err != nil {
		t.Fatal(err)
	}
	if got, err := imagefile.Examine(interlaced, most); err != nil || got.Width != 2 {
		t.Errorf("interlaced: %+v, %v", got, err)
	}
}

// Ensure a file that is cut anywhere is refused, and one of which a byte is another is never taken for another size.
func TestCutAnywhere(t *testing.T) {
	for _, kind := range []imagefile.Type{imagefile.PNG, imagefile.JPEG, imagefile.GIF} {
		whole := encoded(t, kind, 40, 30)
		for n := range len(whole) {
			if got, err := imagefile.Examine(whole[:n], most); err == nil {
				t.Errorf("%s cut to %d of %d bytes: %+v", kind, n, len(whole), got)
			}
		}
		for n := range whole {
			damaged := bytes.Clone(whole)
			damaged[n] ^= 0x55
			got, err := imagefile.Examine(damaged, most)
			if kind == imagefile.PNG && err == nil {
				t.Errorf("PNG with another byte %d: %+v", n, got)
			}
		}
	}
}

// Ensure the most pixels are taken and one more is not, of each format and of the frames of a GIF.
func TestPixels(t *testing.T) {
	small := imagefile.Limits{Pixels: 600, FramePixels: 1200, Memory: 1 << 20}
	for _, kind := range []imagefile.Type{imagefile.PNG, imagefile.JPEG, imagefile.GIF} {
		if _, err := imagefile.Examine(encoded(t, kind, 20, 30), small); err != nil {
			t.Errorf("%s of 600 pixels: %v", kind, err)
		}
		if _, err := imagefile.Examine(encoded(t, kind, 601, 1), small); !errors.Is(err, imagefile.ErrPixels) {
			t.Errorf("%s of 601 pixels: %v", kind, err)
		}
	}
	frames := func(n int) []byte {
		g := &gif.GIF{}
		for range n {
			g.Image, g.Delay = append(g.Image, image.NewPaletted(image.Rect(0, 0, 20, 30), color.Palette{color.Black, color.White})), append(g.Delay, 1)
		}
		var b bytes.Buffer
		if err := gif.EncodeAll(&b, g); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if _, err := imagefile.Examine(frames(2), small); err != nil {
		t.Errorf("two frames: %v", err)
	}
	if _, err := imagefile.Examine(frames(3), small); !errors.Is(err, imagefile.ErrFramePixels) {
		t.Errorf("three frames: %v", err)
	}
}

// Ensure what is no image, or no whole one, is refused by its name.
func TestRefused(t *testing.T) {
	j := encoded(t, imagefile.JPEG, 40, 30)
	p := encoded(t, imagefile.PNG, 4, 3)
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":                 {nil, imagefile.ErrType},
		"text":                    {[]byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), imagefile.ErrType},
		"a web page":              {[]byte("<html><script>alert(1)</script>"), imagefile.ErrType},
		"WebP":                    {[]byte("RIFF\x00\x00\x00\x00WEBPVP8 "), imagefile.ErrType},
		"a JPEG's head":           {[]byte("\xff\xd8\xff"), imagefile.ErrBroken},
		"a JPEG without pixels":   {[]byte("\xff\xd8\xff\xd9"), imagefile.ErrBroken},
		"a JPEG of one scan more": {append(bytes.Clone(j[:len(j)-2]), append(bytes.Repeat([]byte("\xff\xda\x00\x02"), 70), 0xff, 0xd9)...), imagefile.ErrBroken},
		"a PNG's head":            {[]byte("\x89PNG\r\n\x1a\n"), imagefile.ErrBroken},
		"a PNG without pixels":    {pngFile(0, 0, 8, 0, 0, nil), imagefile.ErrBroken},
		"too few rows":            {pngFile(2, 2, 8, 0, 0, []byte{0, 1, 2}), imagefile.ErrBroken},
		"too many rows":           {pngFile(2, 1, 8, 0, 0, []byte{0, 1, 2, 0, 1, 2}), imagefile.ErrBroken},
		"an unknown filter":       {pngFile(2, 1, 8, 0, 0, []byte{5, 1, 2}), imagefile.ErrBroken},
		"a PNG's head twice":      {append(bytes.Clone(p[:33]), p[8:]...), imagefile.ErrBroken},
		"a GIF's head":            {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), imagefile.ErrBroken},
		"a frame beside the GIF":  {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x01\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"), imagefile.ErrBroken},
	} {
		if got, err := imagefile.Examine(tt.data, most); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// The same JPEG where it may take no memory: it is walked through, not unpacked.
	if _, err := imagefile.Examine(j, imagefile.Limits{Pixels: 1 << 20, Memory: 1}); err != nil {
		t.Errorf("a JPEG that is not unpacked: %v", err)
	}
}

// Ensure files that unpack into far more than they are, or say they would, cost no memory: neither what the header says is held, nor what
// is packed behind it.
func TestBombsCostNothing(t *testing.T) {
	bomb := pngFile(8, 8, 8, 0, 0, make([]byte, 64<<20))
	huge := pngFile(60_000, 60_000, 8, 6, 0, []byte{0})
	within := pngFile(1000, 1000, 16, 6, 0, make([]byte, 1000*(1+8000)))
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{"more than it says": {bomb, imagefile.ErrBroken}, "as much as it says": {huge, imagefile.ErrPixels}, "allowed": {within, nil}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := imagefile.Examine(tt.data, most)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s took %d bytes for a file of %d", name, n, len(tt.data))
		}
	}
}

func FuzzExamine(f *testing.F) {
	for _, kind := range []imagefile.Type{imagefile.PNG, imagefile.JPEG, imagefile.GIF} {
		f.Add(encoded(f, kind, 5, 4))
	}
	f.Add(pngFile(2, 2, 8, 0, 1, []byte{0, 1, 0, 2, 0, 3, 4}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := imagefile.Examine(data, most)
		if err != nil {
			return
		}
		c, kind, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil || c.Width != got.Width || c.Height != got.Height || map[string]imagefile.Type{"png": imagefile.PNG, "jpeg": imagefile.JPEG, "gif": imagefile.GIF}[kind] != got.Type {
			t.Fatalf("%+v, others say %s %dx%d, %v", got, kind, c.Width, c.Height, err)
		}
	})
}
