package imagefile_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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

var most = imagefile.Limits{Pixels: 1 << 20, FramePixels: 1 << 21, Frames: 5, Memory: 1 << 24}

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
				got, err := imagefile.Examine(t.Context(), append(encoded(t, kind, size[0], size[1]), behind...), most)
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
	if got, err := imagefile.Examine(t.Context(), interlaced, most); err != nil || got.Width != 2 {
		t.Errorf("interlaced: %+v, %v", got, err)
	}
}

// Ensure a file that is cut anywhere is refused, and one of which a byte is another is never taken for another size.
func TestCutAnywhere(t *testing.T) {
	for _, kind := range []imagefile.Type{imagefile.PNG, imagefile.JPEG, imagefile.GIF} {
		whole := encoded(t, kind, 40, 30)
		for n := range len(whole) {
			if got, err := imagefile.Examine(t.Context(), whole[:n], most); err == nil {
				t.Errorf("%s cut to %d of %d bytes: %+v", kind, n, len(whole), got)
			}
		}
		for n := range whole {
			damaged := bytes.Clone(whole)
			damaged[n] ^= 0x55
			got, err := imagefile.Examine(t.Context(), damaged, most)
			if kind == imagefile.PNG && err == nil {
				t.Errorf("PNG with another byte %d: %+v", n, got)
			}
		}
	}
}

// Ensure the most pixels are taken and one more is not, of each format and of the frames of a GIF.
func TestPixels(t *testing.T) {
	small := imagefile.Limits{Pixels: 600, FramePixels: 1200, Frames: 3, Memory: 1 << 20}
	for _, kind := range []imagefile.Type{imagefile.PNG, imagefile.JPEG, imagefile.GIF} {
		if _, err := imagefile.Examine(t.Context(), encoded(t, kind, 20, 30), small); err != nil {
			t.Errorf("%s of 600 pixels: %v", kind, err)
		}
		if _, err := imagefile.Examine(t.Context(), encoded(t, kind, 601, 1), small); !errors.Is(err, imagefile.ErrPixels) {
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
	if _, err := imagefile.Examine(t.Context(), frames(2), small); err != nil {
		t.Errorf("two frames: %v", err)
	}
	if _, err := imagefile.Examine(t.Context(), frames(3), small); !errors.Is(err, imagefile.ErrFramePixels) {
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
		"nothing":                {nil, imagefile.ErrType},
		"text":                   {[]byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), imagefile.ErrType},
		"a web page":             {[]byte("<html><script>alert(1)</script>"), imagefile.ErrType},
		"WebP":                   {[]byte("RIFF\x00\x00\x00\x00WEBPVP8 "), imagefile.ErrType},
		"a JPEG's head":          {[]byte("\xff\xd8\xff"), imagefile.ErrBroken},
		"a JPEG without pixels":  {[]byte("\xff\xd8\xff\xd9"), imagefile.ErrBroken},
		"a JPEG of five passes":  {append(bytes.Clone(j[:len(j)-2]), append(bytes.Repeat([]byte("\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"), 4), 0xff, 0xd9)...), imagefile.ErrWork},
		"a PNG's head":           {[]byte("\x89PNG\r\n\x1a\n"), imagefile.ErrBroken},
		"a PNG without pixels":   {pngFile(0, 0, 8, 0, 0, nil), imagefile.ErrBroken},
		"too few rows":           {pngFile(2, 2, 8, 0, 0, []byte{0, 1, 2}), imagefile.ErrBroken},
		"too many rows":          {pngFile(2, 1, 8, 0, 0, []byte{0, 1, 2, 0, 1, 2}), imagefile.ErrBroken},
		"an unknown filter":      {pngFile(2, 1, 8, 0, 0, []byte{5, 1, 2}), imagefile.ErrBroken},
		"a PNG's head twice":     {append(bytes.Clone(p[:33]), p[8:]...), imagefile.ErrBroken},
		"a GIF's head":           {[]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), imagefile.ErrBroken},
		"a frame beside the GIF": {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x01\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"), imagefile.ErrBroken},
	} {
		if got, err := imagefile.Examine(t.Context(), tt.data, most); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// The same JPEG where it may take no memory: it is walked through, not unpacked.
	if _, err := imagefile.Examine(t.Context(), j, imagefile.Limits{Pixels: 1 << 20, Memory: 1}); err != nil {
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
		_, err := imagefile.Examine(t.Context(), tt.data, most)
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
		got, err := imagefile.Examine(t.Context(), data, most)
		if err != nil {
			return
		}
		c, kind, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil || c.Width != got.Width || c.Height != got.Height || map[string]imagefile.Type{"png": imagefile.PNG, "jpeg": imagefile.JPEG, "gif": imagefile.GIF}[kind] != got.Type {
			t.Fatalf("%+v, others say %s %dx%d, %v", got, kind, c.Width, c.Height, err)
		}
	})
}

// jpegBits writes the pixels of a scan.
type jpegBits struct {
	out  []byte
	have uint
	n    int
}

func (b *jpegBits) write(bits uint, n int) {
	for i := n - 1; i >= 0; i-- {
		b.have, b.n = b.have<<1|bits>>i&1, b.n+1
		if b.n == 8 {
			if b.out = append(b.out, byte(b.have)); byte(b.have) == 0xff {
				b.out = append(b.out, 0)
			}
			b.have, b.n = 0, 0
		}
	}
}

func segment(mark byte, data ...byte) []byte {
	return append([]byte{0xff, mark, byte((len(data) + 2) >> 8), byte(len(data) + 2)}, data...)
}

// jpegFile is a grey JPEG by hand of w*h pixels: adobe is its transform, -1 for none; ids and sampling of components; scans are the indices of their components.
func jpegFile(w, h int, isProgressive bool, adobe int, ids string, sampling []byte, scans [][]int) []byte {
	b := []byte{0xff, 0xd8}
	if adobe >= 0 {
		b = append(b, segment(0xee, append([]byte("Adobe\x00\x64\x00\x00\x00\x00"), byte(adobe))...)...)
	}
	b = append(b, segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)...)
	head := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(len(ids))}
	for i, id := range []byte(ids) {
		head = append(head, id, sampling[i], 0)
	}
	sof := byte(0xc0)
	if isProgressive {
		sof = 0xc2
	}
	b = append(b, segment(sof, head...)...)
	for _, class := range []byte{0x00, 0x10} { // one code of one bit: nothing follows
		b = append(b, segment(0xc4, append(append([]byte{class, 1}, make([]byte, 15)...), 0)...)...)
	}
	mcu := func(i int) (wide, high int) { return 8 * int(sampling[i]>>4), 8 * int(sampling[i]&15) }
	wide, high := mcu(0)
	if len(ids) == 1 {
		wide, high = 8, 8
	}
	units := ((w + wide - 1) / wide) * ((h + high - 1) / high)
	for n, scan := range scans {
		about := []byte{byte(len(scan))}
		blocks := 0
		for _, c := range scan {
			about = append(about, ids[c], 0)
			if len(ids) == 1 {
				blocks += units
			} else {
				blocks += units * int(sampling[c]>>4) * int(sampling[c]&15)
			}
		}
		bits := 2 // DC, and the end of AC
		switch {
		case isProgressive && n > 0: // again, a bit more each time: the same bit of DC, which decoders take
			about, bits = append(about, 0, 0, 0x10), 1
		case isProgressive:
			about, bits = append(about, 0, 0, 1), 1
		default:
			about = append(about, 0, 63, 0)
		}
		b = append(b, segment(0xda, about...)...)
		pixels := &jpegBits{}
		for range blocks * bits {
			pixels.write(0, 1)
		}
		for pixels.n > 0 {
			pixels.write(1, 1)
		}
		b = append(b, pixels.out...)
	}
	return append(b, 0xff, 0xd9)
}

// Ensure no decoder takes more memory than is said, whatever colours a file has: its pixels may be held again in others.
func TestMemory(t *testing.T) {
	const w, h = 1000, 700
	all := [][]int{{0, 1, 2}}
	four := [][]int{{0, 1, 2, 3}}
	full, half := []byte{0x11, 0x11, 0x11, 0x11}, []byte{0x22, 0x11, 0x11, 0x22}
	files := map[string][]byte{
		"JPEG, grey":                  jpegFile(w, h, false, -1, "\x01", []byte{0x22}, [][]int{{0}}),
		"JPEG, 4:4:4":                 jpegFile(w, h, false, -1, "\x01\x02\x03", full, all),
		"JPEG, 4:2:0":                 jpegFile(w, h, false, -1, "\x01\x02\x03", half, all),
		"JPEG, 4:1:0":                 jpegFile(w, h, false, -1, "\x01\x02\x03", []byte{0x42, 0x11, 0x11}, all),
		"JPEG, progressive":           jpegFile(w, h, true, -1, "\x01\x02\x03", half, all),
		"JPEG, red, green and blue":   jpegFile(w, h, false, -1, "RGB", full, all),
		"JPEG, progressive colours":   jpegFile(w, h, true, -1, "RGB", full, all),
		"JPEG, Adobe's colours":       jpegFile(w, h, false, 0, "\x01\x02\x03", half, all),
		"JPEG, four colours":          jpegFile(w, h, false, 0, "\x01\x02\x03\x04", full, four),
		"JPEG, four, coarser":         jpegFile(w, h, false, 2, "\x01\x02\x03\x04", half, four),
		"JPEG, four, and progressive": jpegFile(w, h, true, 2, "\x01\x02\x03\x04", half, four),
		"GIF":                         encoded(t, imagefile.GIF, w, h),
	}
	for kind, perPixel := range map[byte]int{0: 1, 2: 3, 4: 2, 6: 4} {
		for _, depth := range []byte{8, 16} {
			for interlace := range byte(2) {
				var rows []byte
				passes := [][2]int{{w, h}}
				if interlace == 1 {
					passes = [][2]int{{125, 88}, {125, 88}, {250, 87}, {250, 175}, {500, 175}, {500, 350}, {1000, 350}}
				}
				for _, p := range passes {
					rows = append(rows, make([]byte, p[1]*(1+p[0]*perPixel*int(depth)/8))...)
				}
				files[fmt.Sprintf("PNG of kind %d, depth %d, interlace %d", kind, depth, interlace)] = pngFile(w, h, depth, kind, interlace, rows)
			}
		}
	}
	for name, data := range files {
		info, err := imagefile.Examine(t.Context(), data, imagefile.Limits{Pixels: w * h, FramePixels: w * h, Frames: 1, Memory: 1 << 28})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err = image.Decode(bytes.NewReader(data))
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		const packing = 200 << 10 // what a decoder itself is
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(info.Memory)*11/10+packing || n < uint64(info.Memory)/5 {
			t.Errorf("%s took %d bytes, said are %d", name, n, info.Memory)
		}
	}
}

// Ensure what a decoder does is bounded, not only what it holds: so many passes over the pixels are taken, and one scan more is not, in whatever pieces they come;
// and so many frames of a GIF.
func TestWork(t *testing.T) {
	scans := func(n int, of ...int) (all [][]int) {
		for range n {
			all = append(all, of)
		}
		return all
	}
	const ids = "\x01\x02\x03"
	full, half := []byte{0x11, 0x11, 0x11}, []byte{0x22, 0x11, 0x11}
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"four passes":                    {jpegFile(64, 64, false, -1, ids, half, scans(4, 0, 1, 2)), nil},
		"five passes":                    {jpegFile(64, 64, false, -1, ids, half, scans(5, 0, 1, 2)), imagefile.ErrWork},
		"one component often":            {jpegFile(64, 64, false, -1, ids, full, scans(12, 0)), nil},
		"one component once more":        {jpegFile(64, 64, false, -1, ids, full, scans(13, 0)), imagefile.ErrWork},
		"a fine component six times":     {jpegFile(64, 64, false, -1, ids, half, scans(6, 0)), nil},
		"a fine component seven times":   {jpegFile(64, 64, false, -1, ids, half, scans(7, 0)), imagefile.ErrWork},
		"ten progressive passes":         {jpegFile(64, 64, true, -1, ids, half, scans(10, 0, 1, 2)), nil},
		"eleven":                         {jpegFile(64, 64, true, -1, ids, half, scans(11, 0, 1, 2)), imagefile.ErrWork},
		"a scan of more than there are":  {jpegFile(64, 64, false, -1, ids, half, append(scans(4, 0, 1, 2), []int{2})), imagefile.ErrWork},
		"as many frames as are allowed":  {frames(t, 5), nil},
		"a frame more than are allowed":  {frames(t, 6), imagefile.ErrFrames},
		"a scan that names no component": {append(append(jpegFile(8, 8, false, -1, ids, full, nil)[:0:0], []byte("\xff\xd8")...), segment(0xda, 3)...), imagefile.ErrBroken},
	} {
		if _, err := imagefile.Examine(t.Context(), tt.data, most); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// frames is a GIF of so many frames of one pixel.
func frames(tb testing.TB, n int) []byte {
	tb.Helper()
	g := &gif.GIF{}
	for range n {
		g.Image, g.Delay = append(g.Image, image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black, color.White})), append(g.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// ending is a context that ends when it was asked some times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// Ensure a call that was given up ends while a file is read, and says so rather than that the file is broken.
func TestGivenUp(t *testing.T) {
	for name, data := range map[string][]byte{
		"PNG": encoded(t, imagefile.PNG, 300, 300), "JPEG": encoded(t, imagefile.JPEG, 300, 300), "GIF": encoded(t, imagefile.GIF, 300, 300), "text": []byte("text"),
	} {
		for asked := range 4 {
			if asked > 1 && name == "text" {
				continue
			}
			if got, err := imagefile.Examine(&ending{t.Context(), asked}, data, most); !errors.Is(err, context.Canceled) || got != (imagefile.Info{}) {
				t.Errorf("%s, asked %d times: %+v, %v", name, asked, got, err)
			}
		}
	}
}
