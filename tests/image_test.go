package tests

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure an address gives exactly one image, whole, to whoever has it, until its second; and that no part of it can be another: not the account, the
// image, the instant, the signature, nor how they are written (rules A4, H6, V4).
func TestImageAddresses(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a, b := w.found(setup{Advisors: []string{"anna"}}, "main"), w.found(setup{}, "other")
		file := imageOf(t, "PNG", 4, 3)
		got := a.keptImages("anna", file, imageOf(t, "JPEG", 5, 3), imageOf(t, "GIF", 6, 3))
		foreign := b.keptImages("admin", file)[0]
		if foreign.text("image.id") == got[0].text("image.id") {
			t.Fatal("two accounts share an image")
		}
		address := got[0].text("image.url")
		for i, kind := range []string{"image/png", "image/jpeg", "image/gif"} {
			resp, body := w.fetch(http.MethodGet, got[i].text("image.url"))
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != kind || len(body) != int(got[i].field("image.bytes").(float64)) {
				t.Errorf("%s: %d %v", kind, resp.StatusCode, resp.Header)
			}
		}
		resp, body := w.fetch(http.MethodGet, address)
		h := resp.Header
		if !bytes.Equal(body, file) || h.Get("Cache-Control") != "private, max-age=900" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%v, %d bytes", h, len(body))
		}
		if want := w.clock.Now().Add(limits.ImageURLLife).UTC().Format(timeForm); got[0].text("image.urlExpiresAt") != want {
			t.Errorf("good until %s, want %s", got[0].text("image.urlExpiresAt"), want)
		}
		head, none := w.fetch(http.MethodHead, address)
		if head.StatusCode != 200 || len(none) != 0 || head.ContentLength != int64(len(file)) || head.Header.Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD: %d %v", head.StatusCode, head.Header)
		}
		for tag, status := range map[string]int{h.Get("ETag"): 304, "W/" + h.Get("ETag"): 304, `"x", ` + h.Get("ETag"): 304, "*": 304, `"x"`: 200} {
			if resp, body := w.fetch(http.MethodGet, address, "If-None-Match", tag); resp.StatusCode != status || status == 304 && len(body) != 0 {
				t.Errorf("If-None-Match %s: %d", tag, resp.StatusCode)
			}
		}
		if resp, _ := w.fetch(http.MethodPost, address); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d", resp.StatusCode)
		}
		parts := func(address string) (account, image string, q url.Values) {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			path := strings.Split(u.Path, "/")
			return path[2], path[3], u.Query()
		}
		account, which, q := parts(address)
		_, second, q2 := parts(got[1].text("image.url"))
		other, theirs, q3 := parts(foreign.text("image.url"))
		e, s := q.Get("e"), q.Get("s")
		at := func(account, image, e, s string) string {
			return "/images/" + account + "/" + image + "?" + url.Values{"e": {e}, "s": {s}}.Encode()
		}
		later := fmt.Sprint(w.clock.Now().Add(time.Hour).Unix())
		flipped := []byte(s)
		flipped[0] ^= 1
		var refused []byte
		for name, address := range map[string]string{
			"another image of the account": at(account, second, e, s), "another image's signature": at(account, which, e, q2.Get("s")),
			"another account": at(other, which, e, s), "another account's image": at(account, theirs, e, q3.Get("s")), "another account's secret": at(account, which, e, q3.Get("s")),
			"later": at(account, which, later, s), "no account": at(models.NewKey().String(), which, e, s), "no image": at(account, models.NewKey().String(), e, s),
			"another signature": at(account, which, e, string(flipped)), "a shorter signature": at(account, which, e, s[:len(s)-2]), "none": at(account, which, e, ""),
			"no instant": at(account, which, "", s), "an instant written otherwise": at(account, which, "0"+e, s), "a sign": at(account, which, "+"+e, s),
			"capitals": at(account, strings.ToUpper(which), e, s), "rubbish": "/images/x/y?e=1&s=AA", "nothing": "/images/" + account + "/" + which,
			"more than is signed": address + "&x=1", "twice": address + "&s=" + url.QueryEscape(s),
		} {
			resp, body := w.fetch(http.MethodGet, address)
			if refused == nil {
				refused = body
			}
			if resp.StatusCode != 403 || !bytes.Equal(body, refused) || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("ETag") != "" {
				t.Errorf("%s: %d %q", name, resp.StatusCode, body)
			}
		}
		w.clock.Advance(limits.ImageURLLife - time.Second)
		if resp, _ := w.fetch(http.MethodGet, address); resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "private, max-age=1" {
			t.Errorf("in its last second: %d %v", resp.StatusCode, resp.Header)
		}
		w.clock.Advance(time.Second - time.Microsecond)
		if resp, _ := w.fetch(http.MethodGet, address); resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "private, max-age=0" {
			t.Errorf("in its last microsecond: %d", resp.StatusCode)
		}
		w.clock.Advance(time.Microsecond)
		if resp, body := w.fetch(http.MethodGet, address); resp.StatusCode != 403 || !bytes.Equal(body, refused) {
			t.Errorf("afterwards: %d", resp.StatusCode)
		}
		// The secret is sealed anew under way, and no address shows it.
		again := a.do("admin", `query($id: ID!) { node(id: $id) { ... on Image { url } } }`, map[string]any{"id": got[0].text("image.id")}).text("node.url")
		if done, err := w.Services.Rekey(t.Context()); err != nil || done.Values != 0 {
			t.Fatalf("rekey: %+v, %v", done, err)
		}
		// The file is gone, as after a restore; then the image is.
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if resp, _ := w.fetch(http.MethodGet, again); resp.StatusCode != 404 || resp.Header.Get("ETag") != "" || !w.logged.forget("the file of an image is not there") {
			t.Errorf("an image without its file: %d", resp.StatusCode)
		}
		if id := a.upload("anna", file)[0]; id != got[0].text("image.id") {
			t.Errorf("the same bytes are %s", id)
		}
		if resp, body := w.fetch(http.MethodGet, again); resp.StatusCode != 200 || !bytes.Equal(body, file) {
			t.Errorf("an image whose file was sent again: %d", resp.StatusCode)
		}
		if _, err := w.db.ExecContext(t.Context(), "DELETE FROM image"); err != nil {
			t.Fatal(err)
		}
		if resp, _ := w.fetch(http.MethodGet, again); resp.StatusCode != 404 {
			t.Errorf("a deleted image: %d", resp.StatusCode)
		}
	})
}

// Ensure an address that is over, or good for longer than any that is signed, is refused without a question to the database, and that one of a node
// whose clock is ahead is not (rule H6).
func TestImageAddressesOfNoTime(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, _ := withImages(t, dsn, nil)
		a := w.found(setup{}, "main")
		u, err := url.Parse(a.keptImages("admin", imageOf(t, "PNG", 4, 3))[0].text("image.url"))
		if err != nil {
			t.Fatal(err)
		}
		path := strings.Split(u.Path, "/")
		account, isKey := models.ParseKey(path[2])
		image, isImage := models.ParseKey(path[3])
		if !isKey || !isImage {
			t.Fatalf("the address is %s", u)
		}
		stored, err := w.Store.View(t.Context()).Account(account)
		if err != nil {
			t.Fatal(err)
		}
		set := config.Default()
		set.MasterKeys = []config.Secret{config.Secret("test=" + strings.Repeat("5a", 32))} // as start has it
		ring, err := set.NewRing()
		if err != nil {
			t.Fatal(err)
		}
		secret, err := ring.Open(account, "url.secret", stored.SealedURLSecret)
		if err != nil {
			t.Fatal(err)
		}
		now := w.clock.Now()
		for name, tt := range map[string]struct {
			until  int64
			status int
			asks   bool
		}{
			"over":                      {now.Unix(), 403, false},
			"over for long":             {0, 403, false},
			"before all time":           {math.MinInt64, 403, false},
			"for a second":              {now.Unix() + 1, 200, true},
			"of a clock that is ahead":  {now.Add(limits.ImageURLLife + limits.ClockSkew).Unix(), 200, true},
			"a second more":             {now.Add(limits.ImageURLLife+limits.ClockSkew).Unix() + 1, 403, false},
			"for ever":                  {math.MaxInt64, 403, false},
			"beyond what a row can say": {math.MaxInt64 / 1_000_000, 403, false},
		} {
			signature := base64.RawURLEncoding.EncodeToString(models.SignImage(secret, account, image, tt.until))
			var n atomic.Int64
			r := httptest.NewRequestWithContext(store.CountStatements(t.Context(), &n), http.MethodGet, fmt.Sprintf("%s?e=%d&s=%s", u.Path, tt.until, signature), nil)
			recorder := httptest.NewRecorder()
			w.Server.ServeHTTP(recorder, r)
			if recorder.Code != tt.status || tt.asks != (n.Load() > 0) {
				t.Errorf("%s: %d after %d statements", name, recorder.Code, n.Load())
			}
		}
	})
}

// Ensure addresses begin with what the settings say, and an account of the release before gets a secret by its first upload (rule A4).
func TestImagePublicURL(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), func(s *config.Server) { s.PublicURL = "https://api.example.com/x" })
	a := w.found(setup{}, "main")
	if _, err := w.db.ExecContext(t.Context(), "UPDATE account SET sealed_url_secret = NULL"); err != nil {
		t.Fatal(err)
	}
	address := a.keptImages("admin", imageOf(t, "PNG", 4, 3))[0].text("image.url")
	path, ours := strings.CutPrefix(address, "https://api.example.com/x")
	if resp, _ := w.fetch(http.MethodGet, path); !ours || resp.StatusCode != 200 {
		t.Errorf("%s: %d", address, resp.StatusCode)
	}
	if n := w.count("SELECT COUNT(*) FROM account WHERE sealed_url_secret IS NULL"); n != 0 {
		t.Error("the account has no secret")
	}
}

// Ensure the limits of images hold, at each number and one beyond, of a file, a call, a request and an account; and that a bad file hurts no other
// (rule H6).
func TestImageLimits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{}, "main")
		token := a.bearer("admin", a.account)
		good := imageOf(t, "PNG", 4, 3)
		long := func(n int) []byte { return append(bytes.Clone(good), make([]byte, n-len(good))...) }
		wide := func(h int) []byte {
			var b bytes.Buffer
			if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, image.NewPaletted(image.Rect(0, 0, 10_000, h), color.Palette{color.Black, color.White})); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		all := w.results(w.sendFiles(token, uploadText, nil, long(limits.ImageBytes), long(limits.ImageBytes+1), wide(limits.ImagePixels/10_000), wide(limits.ImagePixels/10_000+1),
			[]byte("<svg/>"), good[:len(good)-3], nil, imageOf(t, "GIF", 9, 9)))
		for i, want := range []struct {
			code  string
			limit any
		}{{}, {"LIMIT_EXCEEDED", float64(limits.ImageBytes)}, {}, {"LIMIT_EXCEEDED", float64(limits.ImagePixels)}, {"INVALID", nil}, {"INVALID", nil}, {"INVALID", nil}, {}} {
			r := all[i]
			if r.text("error.code") != want.code || want.code != "" && (r.field("error.limit") != want.limit || r.text("error.field") != fmt.Sprintf("input.files.%d", i)) ||
				(r.text("image.id") == "") != (want.code != "") {
				t.Errorf("file %d: %v", i, r.Data)
			}
		}
		if n := len(filesIn(t, folder)); n != 3 {
			t.Errorf("%d files are kept", n)
		}
		// Of a call: the same file may stand in several places.
		called := func(n int) *answer {
			var paths []string
			for i := range n {
				paths = append(paths, fmt.Sprintf(`"variables.files.%d"`, i))
			}
			operations, _ := json.Marshal(map[string]any{"query": uploadText, "variables": map[string]any{"files": make([]any, n)}})
			body, contentType := form(t, string(operations), `{"0":[`+strings.Join(paths, ",")+`]}`, good)
			return w.postForm(token, body, contentType, preflight, "1")
		}
		same := w.results(called(limits.ImagesPerCall))
		for _, r := range same {
			if r.text("image.id") == "" || r.text("image.id") != same[0].text("image.id") {
				t.Errorf("the same file: %v", r.Data)
			}
		}
		if got := called(limits.ImagesPerCall + 1); got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.ImagesPerCall) || got.Errors[0].Extensions["field"] != "input.files" {
			t.Errorf("a file more: %.300s", got.body)
		}
		if got := a.try("admin", `mutation { uploadImages(input: {files: []}) { results { error { code } } } }`, nil); got.code() != "INVALID" {
			t.Errorf("no file: %.300s", got.body)
		}
		// Of a request.
		files := make([][]byte, limits.ImagesPerCall+1)
		for i := range files {
			files[i] = good
		}
		if got := w.sendFiles(token, uploadText, nil, files...); got.status != 413 || got.code() != "LIMIT_EXCEEDED" {
			t.Errorf("a file more of a request: %d %.300s", got.status, got.body)
		}
		body, contentType := uploadForm(t, uploadText, nil, good)
		padded := func(n int) []byte { return append(bytes.Clone(body), make([]byte, n-len(body))...) }
		if got := w.postForm(token, padded(limits.UploadBytes), contentType, preflight, "1"); got.status != 200 || len(got.Errors) > 0 {
			t.Errorf("the largest body: %d %.300s", got.status, got.body)
		}
		if got := w.postForm(token, padded(limits.UploadBytes+1), contentType, preflight, "1"); got.status != 413 || got.code() != "LIMIT_EXCEEDED" {
			t.Errorf("a byte more: %d %.300s", got.status, got.body)
		}
		// Of the account.
		if n := w.count("SELECT COUNT(*) FROM account WHERE image_count = (SELECT COUNT(*) FROM image) AND image_bytes = (SELECT SUM(byte_count) FROM image)"); n != 1 {
			t.Error("the account's images are counted wrongly")
		}
		next := imageOf(t, "PNG", 7, 7)
		set := func(count int, size int64) {
			if _, err := w.db.ExecContext(t.Context(), fmt.Sprintf("UPDATE account SET image_count = %d, image_bytes = %d", count, size)); err != nil {
				t.Fatal(err)
			}
		}
		const whole = int64(limits.ImageMiBPerAccount) << 20
		set(limits.ImagesPerAccount, 0)
		if r := w.results(w.sendFiles(token, uploadText, nil, next, good)); r[0].field("error.limit") != float64(limits.ImagesPerAccount) || r[1].text("image.id") == "" {
			t.Errorf("an image more, and one that is known: %v %v", r[0].Data, r[1].Data)
		}
		set(0, whole-int64(len(next))+1)
		if r := w.results(w.sendFiles(token, uploadText, nil, next)); r[0].field("error.limit") != float64(limits.ImageMiBPerAccount) {
			t.Errorf("a byte more: %v", r[0].Data)
		}
		set(limits.ImagesPerAccount-1, whole-int64(len(next)))
		if r := w.results(w.sendFiles(token, uploadText, nil, next, imageOf(t, "PNG", 8, 7))); r[0].text("image.id") == "" || r[1].text("error.code") != "LIMIT_EXCEEDED" {
			t.Errorf("the last one, and one more: %v %v", r[0].Data, r[1].Data)
		}
	})
}

// Ensure who comes with the same bytes at the same time, on two nodes, gets the same image; that files which lost are deleted; and that the bytes of one account are
// no image of another's (rules H6, V4).
func TestSameImageTogether(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		nodes := []*world{w}
		if !w.Store.IsEmbedded() {
			nodes = append(nodes, start(t, dsn, options{clock: w.clock, settings: func(s *config.Server) { s.Images = folder }}))
		}
		file := imageOf(t, "JPEG", 30, 20)
		const callers = 8
		ids := make([]string, callers)
		var wg sync.WaitGroup
		for i := range callers {
			node := nodes[i%len(nodes)]
			token := w.bearer([]string{"admin", "anna"}[i/2%2], a.account)
			wg.Go(func() {
				for _, r := range node.results(node.sendFiles(token, uploadText, nil, file, file)) {
					ids[i] = r.text("image.id")
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id == "" || id != ids[0] {
				t.Errorf("images %v", ids)
				break
			}
		}
		w.clock.Advance(time.Microsecond)
		w.sweptImages()
		if rows, files := w.count("SELECT COUNT(*) FROM image"), len(filesIn(t, folder)); rows != 1 || files != 1 || w.count("SELECT COUNT(*) FROM image_file") != 0 {
			t.Errorf("%d rows, %d files", rows, files)
		}
		if n := w.count("SELECT COUNT(*) FROM account WHERE image_count = 1"); n != 1 {
			t.Error("the account's images are counted wrongly")
		}
	})
}

const avatarText = `mutation($o: Identifier!, $i: ID) { updateCustomers(input: {customers: [{customer: {openid: $o}, avatarImageId: $i}]}) { results { error { code field } customer { avatarUrl avatar { id } } } } }`

// Ensure what nothing uses is deleted after its time and not before, with its file; that what is used stays; and that what an upload which died has left is found
// (rules H6, E13).
func TestImagesAreSwept(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "lin of anna"}}, "main")
		ids := a.upload("anna", imageOf(t, "PNG", 4, 3), imageOf(t, "PNG", 5, 3), imageOf(t, "PNG", 6, 3))
		for _, openid := range []string{"wei", "lin"} {
			if got := a.do("anna", avatarText, map[string]any{"o": openid, "i": ids[0]}); strings.Contains(string(got.body), `"code"`) {
				t.Fatalf("%s", got.body)
			}
		}
		// A file without an image, as an upload leaves it that dies before its transaction.
		lost := models.NewKey()
		if err := os.WriteFile(filepath.Join(folder, a.account.String(), lost.String()), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO image_file (account_id, id, due_at) VALUES (X'%s', X'%s', %d)", a.account, lost, w.Services.Now().Add(limits.ImageKept))); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.ImageKept - time.Second)
		w.sweptImages()
		if n := len(filesIn(t, folder)); n != 4 {
			t.Errorf("%d files before their time", n)
		}
		a.upload("admin", imageOf(t, "PNG", 6, 3)) // comes again: kept from now on
		w.clock.Advance(time.Second)
		w.sweptImages()
		left := a.do("admin", `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": ids}).field("nodes").([]any)
		if n := len(filesIn(t, folder)); n != 2 || left[0] == nil || left[1] != nil || left[2] == nil {
			t.Errorf("%d files, nodes %v", n, left)
		}
		if n := w.count("SELECT COUNT(*) FROM image_uploader"); n != 2 {
			t.Errorf("%d uploaders", n)
		}
		// Erased people leave nothing: not while somebody else has the image, and without any delay when nobody has.
		address := a.do("admin", `query($id: ID!) { node(id: $id) { ... on Image { url } } }`, map[string]any{"id": ids[0]}).text("node.url")
		a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "wei"}})
		w.sweptImages()
		if resp, _ := w.fetch(http.MethodGet, address); resp.StatusCode != 200 {
			t.Errorf("somebody else's avatar: %d", resp.StatusCode)
		}
		export := a.do("admin", exportText, map[string]any{"c": map[string]any{"openid": "lin"}})
		if !strings.Contains(string(export.body), `avatarImageUrl\":\"/images/`) {
			t.Errorf("the export tells of no image: %.600s", export.body)
		}
		a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "lin"}})
		w.sweptImages()
		if resp, _ := w.fetch(http.MethodGet, address); resp.StatusCode != 404 || len(filesIn(t, folder)) != 1 {
			t.Errorf("an erased person's avatar: %d, %d files", resp.StatusCode, len(filesIn(t, folder)))
		}
		if n := w.count("SELECT COUNT(*) FROM customer WHERE avatar_id IS NOT NULL"); n != 0 {
			t.Error("an erased person refers to an image")
		}
		if n := w.count("SELECT COUNT(*) FROM account WHERE image_count = 1"); n != 1 {
			t.Error("the account's images are counted wrongly")
		}
	})
}

// Ensure an image that becomes somebody's avatar while it is swept is either gone before, and was refused, or stays (rule H6).
func TestSweepBesideUse(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, _ := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		token := a.bearer("admin", a.account)
		var used, refused atomic.Int64
		for round := range 25 {
			id := a.upload("admin", imageOf(t, "PNG", 10+round, 3))[0]
			w.clock.Advance(limits.ImageKept)
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := w.Services.SweepImages(context.Background()); err != nil {
					t.Errorf("sweep: %v", err)
				}
			})
			wg.Go(func() {
				got := w.ask(token, avatarText, map[string]any{"o": "wei", "i": id})
				text := string(got.body)
				switch {
				case strings.Contains(text, "NOT_FOUND"), strings.Contains(text, "UNAVAILABLE"):
					refused.Add(1)
				case strings.Contains(text, `"code"`):
					t.Errorf("%s", text)
				default:
					used.Add(1)
				}
			})
			wg.Wait()
			got := a.do("admin", `{ customer(by: {openid: "wei"}) { avatar { id url } } }`, nil)
			if n := w.count("SELECT COUNT(*) FROM customer c WHERE c.avatar_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM image i WHERE i.id = c.avatar_id AND i.uses = 1 AND i.unused_since = 0)"); n != 0 {
				t.Fatalf("round %d: an avatar is gone", round)
			}
			if address := got.text("customer.avatar.url"); address != "" {
				if resp, _ := w.fetch(http.MethodGet, address); resp.StatusCode != 200 {
					t.Fatalf("round %d: an avatar is answered %d", round, resp.StatusCode)
				}
			}
		}
		t.Logf("%d used, %d refused", used.Load(), refused.Load())
		a.do("admin", avatarText, map[string]any{"o": "wei", "i": nil})
		w.clock.Advance(limits.ImageKept)
		w.sweptImages()
		if n := w.count("SELECT COUNT(*) FROM image") + w.count("SELECT COUNT(*) FROM account WHERE image_count <> 0 OR image_bytes <> 0"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// Ensure an ADVISOR sees images that are theirs, or their customers', and makes no other an avatar (rules V2, V5).
func TestImagesOfAdvisors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, _ := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "lin of ben"}, Settings: map[string]any{"mayAdvisorsEditProfile": true}}, "main")
		ids := a.upload("admin", imageOf(t, "PNG", 4, 3), imageOf(t, "PNG", 5, 3), imageOf(t, "PNG", 6, 3))
		mine := a.upload("anna", imageOf(t, "PNG", 7, 3), imageOf(t, "PNG", 4, 3)) // the second is known already
		if mine[1] != ids[0] {
			t.Fatal("the same bytes are two images")
		}
		a.do("admin", avatarText, map[string]any{"o": "wei", "i": ids[1]})
		sees := func(who string) (seen string) {
			for _, id := range append(ids, mine[0]) {
				if a.try(who, `query($id: ID!) { node(id: $id) { id } }`, map[string]any{"id": id}).code() == "" {
					seen += "V"
				} else {
					seen += "-"
				}
			}
			return seen
		}
		for who, want := range map[string]string{"admin": "VVVV", "integration": "VVVV", "analyst": "----", "anna": "VV-V", "ben": "----"} {
			if got := sees(who); got != want {
				t.Errorf("%s sees %s, want %s", who, got, want)
			}
		}
		own := `mutation($i: ID) { updateAdvisor(input: {avatarImageId: $i}) { advisor { avatarUrl avatar { id } } } }`
		if got := a.try("ben", own, map[string]any{"i": mine[0]}); got.code() != "NOT_FOUND" || got.Errors[0].Extensions["field"] != "input.avatarImageId" {
			t.Errorf("another advisor's image: %.300s", got.body)
		}
		if got := a.do("ben", avatarText, map[string]any{"o": "lin", "i": ids[2]}); !strings.Contains(string(got.body), `"NOT_FOUND"`) {
			t.Errorf("the merchant's image: %.300s", got.body)
		}
		if got := a.do("anna", own, map[string]any{"i": mine[0]}); got.text("updateAdvisor.advisor.avatar.id") != mine[0] {
			t.Errorf("their own: %.300s", got.body)
		}
		a.do("admin", `mutation($c: ID!, $a: ID!) { rebindCustomers(input: {customers: {these: [{id: $c}]}, to: {advisor: {id: $a}}}) { isRepeated } }`, map[string]any{"c": a.names["id wei"], "a": a.names["id ben"]})
		for who, want := range map[string]string{"anna": "V--V", "ben": "-V--"} {
			if got := sees(who); got != want {
				t.Errorf("after the customer went, %s sees %s, want %s", who, got, want)
			}
		}
		a.do("admin", `mutation { updateAccountSettings(input: {mayAnalystsReadFreeText: true}) { account { id } } }`, nil)
		if got := sees("analyst"); got != "VVVV" {
			t.Errorf("an ANALYST with leave sees %s", got)
		}
		// A file that says nothing of the picture leaves it to who is invited again, and an address takes its place (rules B4, B7).
		picture := func() string {
			got := a.do("admin", `{ advisor(by: {openid: "anna"}) { state avatarUrl avatar { id } } }`, nil)
			return fmt.Sprint(got.field("advisor.state"), " ", got.field("advisor.avatarUrl"), " ", got.text("advisor.avatar.id") == mine[0])
		}
		a.dismissed("anna")
		a.staffed("openid\nanna\n")
		if got := picture(); got != "PENDING <nil> true" {
			t.Errorf("invited again by a file: %s", got)
		}
		a.staffed("openid,avatar_url\nanna,https://example.com/anna.png\n")
		if got := picture(); got != "PENDING https://example.com/anna.png false" {
			t.Errorf("with an address of a file: %s", got)
		}
		if n := w.count("SELECT COUNT(*) FROM image WHERE uses <> 0"); n != 1 {
			t.Errorf("%d images are in use, not wei's alone", n)
		}
	})
}

// Ensure the multipart request is taken as clients send it, from whom it is allowed and no other, and that every limit of other requests holds for it
// (ADR 0042).
func TestMultipartRequests(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), func(s *config.Server) {
		s.RatePerToken, s.AllowedOrigins = 20, []string{"https://console.example.com"}
	})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	fresh := 0
	bearer := func() string { // what one spends is not another's
		fresh++
		return w.token(auth.RoleIntegration, a.account, fmt.Sprint("crm", fresh))
	}
	file := imageOf(t, "PNG", 4, 3)
	body, contentType := uploadForm(t, uploadText, nil, file)
	for _, header := range []string{preflight, "Apollo-Require-Preflight", "X-Apollo-Operation-Name"} {
		if got := w.postForm(bearer(), body, contentType, header, "x"); got.status != 200 || got.code() != "" {
			t.Errorf("with %s: %d %.300s", header, got.status, got.body)
		}
	}
	rows := w.count("SELECT COUNT(*) FROM audit")
	for name, tt := range map[string]struct {
		token, body, contentType string
		headers                  []string
		status                   int
		code                     string
	}{
		"no header against forms": {bearer(), string(body), contentType, nil, 400, "INVALID"},
		"no token":                {"", string(body), contentType, []string{preflight, "1"}, 401, "UNAUTHENTICATED"},
		"a bad token":             {"x.y.z", string(body), contentType, []string{preflight, "1"}, 401, "UNAUTHENTICATED"},
		"no boundary":             {bearer(), string(body), "multipart/form-data", []string{preflight, "1"}, 400, "INVALID"},
		"another type":            {bearer(), string(body), "multipart/mixed; boundary=b", []string{preflight, "1"}, 415, "INVALID"},
		"cut":                     {bearer(), string(body[:len(body)/2]), contentType, []string{preflight, "1"}, 400, "INVALID"},
		"not for this role":       {w.bearer("analyst", a.account), string(body), contentType, []string{preflight, "1"}, 403, "FORBIDDEN"},
	} {
		got := w.postForm(tt.token, []byte(tt.body), tt.contentType, tt.headers...)
		if got.status != tt.status || got.code() != tt.code {
			t.Errorf("%s: %d %.300s", name, got.status, got.body)
		}
		if tt.status != 200 && bytes.Contains(got.body, []byte(`"data"`)) {
			t.Errorf("%s: there are data in %.300s", name, got.body)
		}
	}
	for name, tt := range map[string]struct {
		operations, paths string
		status            int
		code              string
	}{
		"without files":           {`{"query":"{ viewer { role } }"}`, `{}`, 200, ""},
		"a batch of nothing":      {`[]`, `{}`, 400, "INVALID"},
		"a batch too long":        {`[` + strings.Repeat(`{"query":"{ viewer { role } }"},`, limits.UploadOperations) + `{"query":"{ viewer { role } }"}]`, `{}`, 413, "LIMIT_EXCEEDED"},
		"too deep":                {`{"query":"{ viewer { account ` + strings.Repeat("{ a ", 20) + strings.Repeat("}", 20) + ` } }"}`, `{}`, 200, "LIMIT_EXCEEDED"},
		"too many aliases":        {`{"query":"{ ` + aliases(limits.QueryAliases+1) + `}"}`, `{}`, 200, "LIMIT_EXCEEDED"},
		"operations of a body":    {`{"query":"{ viewer { role } }"` + strings.Repeat(" ", limits.BodyBytes-len(`{"query":"{ viewer { role } }"}`)) + `}`, `{}`, 200, ""},
		"operations a byte over":  {`{"query":"{ viewer { role } }"` + strings.Repeat(" ", limits.BodyBytes+1-len(`{"query":"{ viewer { role } }"}`)) + `}`, `{}`, 413, "LIMIT_EXCEEDED"},
		"a map of a byte over":    {`{"query":"{ viewer { role } }"}`, `{` + strings.Repeat(" ", limits.BodyBytes) + `}`, 413, "LIMIT_EXCEEDED"},
		"a file that is no file":  {`{"query":"mutation($files: [Upload!]!) { uploadImages(input: {files: $files}) { results { image { id } } } }","variables":{"files":["x"]}}`, `{}`, 200, "INVALID"},
		"a subscription":          {`{"query":"subscription { jobChanges(jobId: \"x\") { __typename } }"}`, `{}`, 200, "INVALID"},
		"an unknown persisted id": {`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 64) + `"}}}`, `{}`, 200, "NOT_FOUND"},
	} {
		body, contentType := form(t, tt.operations, tt.paths)
		if got := w.postForm(bearer(), body, contentType, preflight, "1"); got.status != tt.status || got.code() != tt.code {
			t.Errorf("%s: %d %.300s", name, got.status, got.body)
		}
	}
	if got := w.ask(bearer(), `mutation($f: [Upload!]!) { uploadImages(input: {files: $f}) { results { image { id } } } }`, map[string]any{"f": []any{"text"}}); got.code() != "INVALID" {
		t.Errorf("a text for a file: %.300s", got.body)
	}
	if got := w.count("SELECT COUNT(*) FROM audit"); got != rows {
		t.Errorf("%d entries of what was refused", got-rows)
	}
	// Other bodies are as large as they were.
	long := append([]byte(`{"query":"{ viewer { role } }"`), append(bytes.Repeat([]byte(" "), limits.BodyBytes), '}')...)
	if got := w.post(bearer(), long); got.status != 413 {
		t.Errorf("a long body of JSON: %d", got.status)
	}
	// Each file is charged: 20 a second saved up for limits.RateBurst, an operation 1 and a file limits.UploadCharge.
	spender := bearer()
	saved := 20 * int(limits.RateBurst/time.Second)
	files := make([][]byte, 4)
	for i := range files {
		files[i] = file
	}
	each := 1 + len(files)*limits.UploadCharge
	sent, began := 0, time.Now()
	for w.sendFiles(spender, uploadText, nil, files...).code() == "" {
		if sent++; sent > 1000 {
			t.Fatal("uploads are not charged")
		}
	}
	if most := (saved + int(20*time.Since(began).Seconds()) + 20) / each; sent < saved/each-1 || sent > most {
		t.Errorf("%d uploads were let through, of %d to %d", sent, saved/each, most)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, w.url+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://console.example.com")
	r.Header.Set("Access-Control-Request-Method", "POST")
	resp, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if allowed := resp.Header.Get("Access-Control-Allow-Headers"); !strings.Contains(allowed, preflight) {
		t.Errorf("allowed headers %s", allowed)
	}
}

// Ensure a file that stands in several places of a document is read whole in each (rule H6).
func TestFileInSeveralPlaces(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), nil)
	a := w.found(setup{}, "main")
	body, contentType := form(t, `{"query":"mutation($f: Upload!, $l: [Upload!]!) { one: uploadImages(input: {files: [$f, $f]}) { results { image { id bytes } error { code } } } two: uploadImages(input: {files: $l}) { results { image { id bytes } error { code } } } three: uploadImages(input: {files: $l}) { results { image { id bytes } error { code } } } }","variables":{"f":null,"l":[null]}}`,
		`{"0":["variables.f","variables.l.0"]}`, imageOf(t, "PNG", 4, 3))
	got := w.postForm(a.bearer("admin", a.account), body, contentType, preflight, "1")
	if images := strings.Count(string(got.body), `"bytes":`); images != 4 || bytes.Contains(got.body, []byte(`"code"`)) {
		t.Errorf("%d images: %.600s", images, got.body)
	}
}

// aliases is so many fields with aliases.
func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: viewer { role } ", i)
	}
	return b.String()
}

// Ensure what Apollo's upload client sends, byte for byte, is understood.
func TestApolloUpload(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), nil)
	a := w.found(setup{}, "main")
	file := imageOf(t, "PNG", 4, 3)
	const boundary = "----WebKitFormBoundaryTV2Xq3wzXkHqk5rW"
	part := func(head, body string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n"
	}
	body := part(`name="operations"`, `{"operationName":"Up","variables":{"input":{"files":[null]}},"extensions":{"clientLibrary":{"name":"@apollo/client","version":"4.0.0"}},"query":"mutation Up($input: UploadImagesInput!) {\n  uploadImages(input: $input) {\n    results {\n      image {\n        id\n        type\n        __typename\n      }\n      __typename\n    }\n    __typename\n  }\n}"}`) +
		part(`name="map"`, `{"1":["variables.input.files.0"]}`) +
		part("name=\"1\"; filename=\"头像 1.png\"\r\nContent-Type: image/png", string(file)) + "--" + boundary + "--\r\n"
	got := w.postForm(a.bearer("admin", a.account), []byte(body), "multipart/form-data; boundary="+boundary, "Accept", "application/graphql-response+json,application/json;q=0.9", "Apollo-Require-Preflight", "true")
	if got.status != 200 || len(got.Errors) > 0 || w.results(got)[0].text("image.type") != "PNG" {
		t.Errorf("%d %.400s", got.status, got.body)
	}
}

// Ensure a code has the image in its middle that its advisor has as avatar, whatever its size, and can be read; and that one of somebody without an image is
// refused (rule C4).
func TestCodePictureOfAdvisor(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), nil)
	a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna"}}, "main")
	a.label("spring", toAdvisor("anna"))
	a.label("shop", a.toGroup("tea"))
	a.label("bens", toAdvisor("ben"))
	const text = `query($c: ID!, $f: QRCodeFormat, $a: String) { qrCodePicture(codeId: $c, format: $f, avatar: $a, hasAdvisorAvatar: true) { data url } }`
	a.do("admin", `mutation { updateAdvisor(input: {advisor: {openid: "ben"}, avatarUrl: "https://example.com/b.png"}) { advisor { id } } }`, nil)
	for name, code := range map[string]string{"before there is one": "spring", "a group's": "shop", "an address alone": "bens"} {
		if got := a.try("admin", text, map[string]any{"c": a.names["id code "+code]}); got.code() != "STATE" || got.Errors[0].Extensions["field"] != "hasAdvisorAvatar" {
			t.Errorf("%s: %.300s", name, got.body)
		}
	}
	red := image.NewNRGBA(image.Rect(0, 0, 2400, 1800))
	for i := range red.Pix {
		red.Pix[i] = []byte{250, 10, 20, 255}[i%4]
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, red, nil); err != nil {
		t.Fatal(err)
	}
	a.do("admin", `mutation($i: ID!) { updateAdvisor(input: {advisor: {openid: "anna"}, avatarImageId: $i}) { advisor { id } } }`, map[string]any{"i": a.upload("admin", b.Bytes())[0]})
	for range 2 { // the second time from what the node keeps
		got := a.do("anna", text, map[string]any{"c": a.names["id code spring"]})
		data, err := base64.StdEncoding.DecodeString(got.text("qrCodePicture.data"))
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if r, g, _, _ := picture.At(picture.Bounds().Dx()/2, picture.Bounds().Dy()/2).RGBA(); r>>8 < 200 || g>>8 > 60 {
			t.Error("the avatar is not in the middle")
		}
		bits, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := zxing.NewQRCodeReader().Decode(bits, nil); err != nil || read.GetText() != got.text("qrCodePicture.url") {
			t.Errorf("reads %v, %v", read, err)
		}
	}
	if got := a.try("admin", text, map[string]any{"c": a.names["id code spring"], "a": pngOf(t, 5, 5, 0)}); got.code() != "INVALID" {
		t.Errorf("two avatars: %.300s", got.body)
	}
	if got := a.try("analyst", text, map[string]any{"c": a.names["id code spring"]}); got.code() != "STATE" {
		t.Errorf("an ANALYST who may not see the avatar: %.300s", got.body)
	}
	var wide bytes.Buffer
	if err := png.Encode(&wide, image.NewPaletted(image.Rect(0, 0, 7000, 7000), color.Palette{color.Black, color.White})); err != nil {
		t.Fatal(err)
	}
	a.do("admin", `mutation($i: ID!) { updateAdvisor(input: {advisor: {openid: "ben"}, avatarImageId: $i}) { advisor { id } } }`, map[string]any{"i": a.upload("admin", wide.Bytes())[0]})
	if got := a.try("admin", text, map[string]any{"c": a.names["id code bens"]}); got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.ImageDecodeBytes) {
		t.Errorf("an image of too much memory: %.300s", got.body)
	}
}

// Ensure a file that cannot be deleted keeps no other from being deleted, is told of, and is tried again (rule H6).
func TestFileThatStays(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a, b := w.found(setup{}, "main"), w.found(setup{}, "other")
		a.upload("admin", imageOf(t, "PNG", 4, 3))
		w.clock.Advance(time.Second)
		a.upload("admin", imageOf(t, "PNG", 5, 3))
		b.upload("admin", imageOf(t, "PNG", 4, 3))
		// A folder that is not empty stands where a file of the first account is due before all others: no disk deletes it.
		stuck := models.NewKey()
		if err := os.MkdirAll(filepath.Join(folder, a.account.String(), stuck.String(), "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO image_file (account_id, id, due_at) VALUES (X'%s', X'%s', 1)", a.account, stuck)); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.ImageKept)
		if _, err := w.Services.SweepImages(t.Context()); err == nil {
			t.Error("a file that stays is not told of")
		}
		if n := w.count("SELECT COUNT(*) FROM image_file"); n != 1 {
			t.Errorf("%d files wait beside the one that stays", n-1)
		}
		w.sweptImages() // not at once again
		if err := os.Remove(filepath.Join(folder, a.account.String(), stuck.String(), "x")); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.ImageFileRetry)
		w.sweptImages()
		if n := w.count("SELECT COUNT(*) FROM image_file"); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}
