package tests

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/gif"
	"image/png"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"

	"clientele/channels/sandbox"
	"clientele/internal/testkit"
	"clientele/limits"
)

const pictureText = `query($c: ID!, $f: QRCodeFormat, $s: Int, $a: String) { qrCodePicture(codeId: $c, format: $f, size: $s, avatar: $a) { url mediaType size data } }`

// pngOf is a PNG of so many pixels, made longer to so many bytes; 0: as long as it is.
func pngOf(tb testing.TB, w, h, size int) string {
	tb.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		tb.Fatal(err)
	}
	if n := size - b.Len(); n > 0 {
		b.Write(make([]byte, n)) // readers stop at the end of the picture
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// Ensure the picture of each kind of code can be read by a reader that is not ours, with an avatar and
// without, and says the code's URL, by which a follower is bound (rule C4).
func TestCodePictures(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Groups: []string{"tea of anna"}}, "main")
	a.label("spring", a.toGroup("tea"))
	list, _ := a.do("anna", `query($g: ID!) { own: qrCodes { nodes { id url scene } } qrCodes(filter: {owner: {groupId: $g}}) { nodes { id url scene } } }`,
		map[string]any{"g": a.names["id tea"]}).Data.(map[string]any)
	codes := append((&answer{Data: list}).field("own.nodes").([]any), (&answer{Data: list}).field("qrCodes.nodes").([]any)...)
	if len(codes) != 3 {
		t.Fatalf("codes %v", codes)
	}
	for i, c := range codes {
		one := &answer{Data: c}
		for _, avatar := range []any{nil, pngOf(t, 300, 200, 0)} {
			for _, size := range []any{nil, limits.CodePictureMin, limits.CodePictureMax} {
				got := a.do("anna", pictureText, map[string]any{"c": one.text("id"), "s": size, "a": avatar})
				if size == nil {
					size = limits.CodePicture
				}
				data, err := base64.StdEncoding.DecodeString(got.text("qrCodePicture.data"))
				if err != nil || got.text("qrCodePicture.mediaType") != "image/png" || got.field("qrCodePicture.size") != float64(size.(int)) {
					t.Fatalf("%.200s, %v", got.body, err)
				}
				picture, err := png.Decode(bytes.NewReader(data))
				if err != nil || picture.Bounds().Dx() != size || picture.Bounds().Dy() != size {
					t.Fatalf("%v, %v", picture.Bounds(), err)
				}
				bits, err := gozxing.NewBinaryBitmapFromImage(picture)
				if err != nil {
					t.Fatal(err)
				}
				// The reader guesses where a code is by its corners, and now and then takes something else for one;
				// then it is told that the picture is nothing but a code.
				read, err := zxing.NewQRCodeReader().Decode(bits, nil)
				if err != nil {
					read, err = zxing.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
				}
				if err != nil || read.GetText() != one.text("url") || read.GetText() != got.text("qrCodePicture.url") {
					t.Fatalf("code %d, %v pixels, avatar %t: reads %v, %v", i, size, avatar != nil, read, err)
				}
				scene, ours := strings.CutPrefix(read.GetText(), sandbox.CodeBase)
				if !ours || scene != one.text("scene") {
					t.Errorf("says %q", read.GetText())
				}
			}
		}
		if outcome := a.follow(fmt.Sprint("wei", i), one.text("scene")); outcome != "BOUND" {
			t.Errorf("a scan of code %d: %s", i, outcome)
		}
	}
	svg := a.do("analyst", pictureText, map[string]any{"c": a.names["id code spring"], "f": "SVG", "a": pngOf(t, 10, 10, 0)})
	data, err := base64.StdEncoding.DecodeString(svg.text("qrCodePicture.data"))
	if err != nil || svg.text("qrCodePicture.mediaType") != "image/svg+xml" || !strings.HasPrefix(string(data), "<svg ") || !strings.Contains(string(data), "data:image/png;base64,") {
		t.Errorf("%.300s, %v", data, err)
	}
}

// Ensure the limits of pictures hold, at each number and one beyond; that what is no picture is refused; and
// that a code which the platform does not know, or which is not the viewer's to see, has none (rules C4, V4).
func TestCodePictureLimits(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
	a.label("spring", toAdvisor("anna"))
	wide := func(pixels int) string {
		// One row, as a GIF of one colour: small however wide.
		const most = 65_535
		var b bytes.Buffer
		if err := gif.Encode(&b, image.NewGray(image.Rect(0, 0, most, pixels/most)), nil); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	for name, tt := range map[string]struct {
		with  map[string]any
		code  string
		field string
		limit any
	}{
		"smallest":           {map[string]any{"s": limits.CodePictureMin}, "", "", nil},
		"smaller":            {map[string]any{"s": limits.CodePictureMin - 1}, "INVALID", "size", nil},
		"negative":           {map[string]any{"s": -1}, "INVALID", "size", nil},
		"largest":            {map[string]any{"s": limits.CodePictureMax}, "", "", nil},
		"larger":             {map[string]any{"s": limits.CodePictureMax + 1}, "LIMIT_EXCEEDED", "size", float64(limits.CodePictureMax)},
		"bytes":              {map[string]any{"a": pngOf(t, 10, 10, limits.CodeAvatarBytes)}, "", "", nil},
		"a byte more":        {map[string]any{"a": pngOf(t, 10, 10, limits.CodeAvatarBytes+1)}, "LIMIT_EXCEEDED", "avatar", float64(limits.CodeAvatarBytes)},
		"many bytes more":    {map[string]any{"a": pngOf(t, 10, 10, 2*limits.CodeAvatarBytes)}, "LIMIT_EXCEEDED", "avatar", float64(limits.CodeAvatarBytes)},
		"pixels":             {map[string]any{"a": pngOf(t, 1024, limits.CodeAvatarPixels/1024, 0)}, "", "", nil},
		"a pixel more":       {map[string]any{"a": pngOf(t, limits.CodeAvatarPixels+1, 1, 0)}, "LIMIT_EXCEEDED", "avatar", float64(limits.CodeAvatarPixels)},
		"a GIF of many":      {map[string]any{"a": wide(20 * 65_535)}, "LIMIT_EXCEEDED", "avatar", float64(limits.CodeAvatarPixels)},
		"an address":         {map[string]any{"a": "https://example.com/a.png"}, "INVALID", "avatar", nil},
		"base64 of anything": {map[string]any{"a": base64.StdEncoding.EncodeToString([]byte("https://example.com/a.png"))}, "INVALID", "avatar", nil},
		"empty":              {map[string]any{"a": ""}, "INVALID", "avatar", nil},
	} {
		tt.with["c"] = a.names["id code spring"]
		got := a.try("admin", pictureText, tt.with)
		if got.code() != tt.code {
			t.Errorf("%s: %.300s", name, got.body)
			continue
		}
		if tt.code != "" && (got.Errors[0].Extensions["field"] != tt.field || got.Errors[0].Extensions["limit"] != tt.limit) {
			t.Errorf("%s: %.300s", name, got.body)
		}
	}
	if got := a.try("ben", pictureText, map[string]any{"c": a.names["id code spring"]}); got.code() != "NOT_FOUND" {
		t.Errorf("another advisor's code: %.300s", got.body)
	}
	if got := a.try("admin", pictureText, map[string]any{"c": a.names["id anna"]}); got.code() != "INVALID" {
		t.Errorf("an advisor's id: %.300s", got.body)
	}
	// Nobody hands codes to the platform yet: there is nothing that a picture could say.
	if _, err := w.db.ExecContext(t.Context(), "UPDATE account SET channel = 'WECHAT'"); err != nil {
		t.Fatal(err)
	}
	if got := a.try("admin", pictureText, map[string]any{"c": a.names["id code spring"]}); got.code() != "STATE" {
		t.Errorf("on WECHAT: %.300s", got.body)
	}
	if got := a.do("admin", `{ qrCodes { nodes { url } } }`, nil); strings.Contains(string(got.body), "http") {
		t.Errorf("on WECHAT: %.300s", got.body)
	}
}

// Ensure as many pictures as one document may ask for are drawn, a few at a time.
func TestManyCodePictures(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	a.label("spring", toAdvisor("anna"))
	var b strings.Builder
	for i := range limits.QueryAliases {
		fmt.Fprintf(&b, "p%d: qrCodePicture(codeId: $c, size: 200, avatar: $a) { data } ", i)
	}
	got := a.do("admin", "query($c: ID!, $a: String) { "+b.String()+"}", map[string]any{"c": a.names["id code spring"], "a": pngOf(t, 50, 50, 0)})
	for i := range limits.QueryAliases {
		if got.text(fmt.Sprintf("p%d.data", i)) == "" {
			t.Fatalf("no picture %d", i)
		}
	}
}
