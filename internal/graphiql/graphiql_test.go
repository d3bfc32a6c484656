package graphiql_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"clientele/internal/graphiql"
)

const (
	base = "/graphiql"

	// What the page may add to the binary. It is 2.0 MB now; a jump means that something
	// came along which should not have.
	maxTotal = 3 << 20
	// What one committed file may weigh.
	maxFile = 3000 << 10
)

func TestRoutes(t *testing.T) {
	script := mustAsset(t, ".js")
	tests := []struct {
		name        string
		method      string
		path        string
		status      int
		contentType string
		cache       string
	}{
		{"page", "GET", base, 200, "text/html; charset=utf-8", "no-cache"},
		{"page with a slash", "GET", base + "/", 200, "text/html; charset=utf-8", "no-cache"},
		{"page with a query", "GET", base + "?tab=1", 200, "text/html; charset=utf-8", "no-cache"},
		{"script", "GET", base + script, 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"style", "GET", base + mustAsset(t, ".css"), 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		{"font", "GET", base + mustAsset(t, ".ttf"), 200, "font/ttf", "public, max-age=31536000, immutable"},
		{"licences", "GET", base + "/THIRD_PARTY_LICENSES", 200, "text/plain; charset=utf-8", "no-cache"},
		{"head of the page", "HEAD", base, 200, "text/html; charset=utf-8", "no-cache"},
		{"head of a script", "HEAD", base + script, 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},

		{"unknown asset", "GET", base + "/assets/none.js", 404, "", ""},
		{"unknown path", "GET", base + "/none", 404, "", ""},
		{"packed name", "GET", base + script + ".gz", 404, "", ""},
		{"folder", "GET", base + "/assets/", 404, "", ""},
		{"out of the folder", "GET", base + "/assets/../SHA256SUMS", 404, "", ""},
		{"sums", "GET", base + "/SHA256SUMS", 404, "", ""},
		{"longer word", "GET", base + "x", 404, "", ""},
		{"outside base", "GET", script, 404, "", ""},
		{"unknown path by post", "POST", base + "/none", 404, "", ""},

		{"post to the page", "POST", base, 405, "", ""},
		{"delete of a script", "DELETE", base + script, 405, "", ""},
		{"options of the page", "OPTIONS", base, 405, "", ""},
	}
	for _, tt := range tests {
		for _, encoding := range []string{"", "gzip"} {
			t.Run(tt.name+" "+encoding, func(t *testing.T) {
				got := serve(t, base, tt.method, tt.path, "Accept-Encoding", encoding)
				if got.StatusCode != tt.status {
					t.Fatalf("status %d, want %d", got.StatusCode, tt.status)
				}
				if tt.contentType != "" {
					wantHeader(t, got, "Content-Type", tt.contentType)
				}
				wantHeader(t, got, "Cache-Control", tt.cache)
				if tt.status == 200 {
					wantHeader(t, got, "Vary", "Accept-Encoding")
					wantHeader(t, got, "Content-Encoding", encoding)
				}
				if tt.status == 405 {
					wantHeader(t, got, "Allow", "GET, HEAD")
				}
				body := mustRead(t, got.Body)
				if empty := len(body) == 0; empty != (tt.method == "HEAD") {
					t.Errorf("%s answered %d bytes", tt.method, len(body))
				}
			})
		}
	}
}

func TestSecurityHeadersOnEveryAnswer(t *testing.T) {
	for _, p := range []string{base, base + mustAsset(t, ".js"), base + "/THIRD_PARTY_LICENSES", base + "/none"} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(method+" "+p, func(t *testing.T) {
				got := serve(t, base, method, p)
				wantHeader(t, got, "X-Content-Type-Options", "nosniff")
				wantHeader(t, got, "Referrer-Policy", "no-referrer")
				wantHeader(t, got, "Cross-Origin-Opener-Policy", "same-origin")
				wantHeader(t, got, "Cross-Origin-Resource-Policy", "same-origin")
				wantHeader(t, got, "Content-Security-Policy", "default-src 'none'; script-src 'self'; "+
					"style-src 'self' 'unsafe-inline'; worker-src 'self'; connect-src 'self'; "+
					"font-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			})
		}
	}
}

func TestEncoding(t *testing.T) {
	tests := []struct {
		accept string
		gzip   bool
	}{
		{"", false},
		{"identity", false},
		{"br", false},
		{"gzip", true},
		{"GZIP", true},
		{"br, gzip;q=0.5", true},
		{"deflate,gzip , br", true},
		{"gzip;q=0", false},
		{"gzip; q=0.000", false},
		{"*", true},
		{"*;q=0", false},
		{"*, gzip;q=0", false},
		{"gzip, *;q=0", true},
		{"gzipped", false},
	}
	pages := []string{base, base + mustAsset(t, ".js"), base + "/THIRD_PARTY_LICENSES"}
	for _, p := range pages {
		plain := mustRead(t, serve(t, base, "GET", p).Body)
		for _, tt := range tests {
			t.Run(p+" "+tt.accept, func(t *testing.T) {
				got := serve(t, base, "GET", p, "Accept-Encoding", tt.accept)
				body := mustRead(t, got.Body)
				if tt.gzip {
					wantHeader(t, got, "Content-Encoding", "gzip")
					body = mustUnpack(t, body)
				} else {
					wantHeader(t, got, "Content-Encoding", "")
				}
				if !bytes.Equal(body, plain) {
					t.Errorf("%d bytes, which are not the %d of the plain answer", len(body), len(plain))
				}
			})
		}
	}
}

func TestIndexIsRevalidated(t *testing.T) {
	etag := serve(t, base, "GET", base).Header.Get("ETag")
	if !regexp.MustCompile(`^W/"[0-9a-f]{64}"$`).MatchString(etag) {
		t.Fatalf("ETag %q", etag)
	}
	tests := []struct {
		name   string
		sent   string
		status int
	}{
		{"nothing", "", 200},
		{"the same", etag, 304},
		{"the same as strong", strings.TrimPrefix(etag, "W/"), 304},
		{"one of several", `"a", ` + etag, 304},
		{"any", "*", 304},
		{"another", `W/"a"`, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := serve(t, base, "GET", base, "If-None-Match", tt.sent)
			if got.StatusCode != tt.status {
				t.Errorf("status %d, want %d", got.StatusCode, tt.status)
			}
			wantHeader(t, got, "ETag", etag)
			if body := mustRead(t, got.Body); tt.status == 304 && len(body) != 0 {
				t.Errorf("304 with %d bytes", len(body))
			}
		})
	}
	if other := serve(t, "/other", "GET", "/other").Header.Get("ETag"); other == etag {
		t.Error("pages for two bases share an ETag, though their bytes differ")
	}
}

// TestIndexFindsItsFiles follows every address of the page, wherever it is mounted.
func TestIndexFindsItsFiles(t *testing.T) {
	tests := []struct{ base, page, prefix string }{
		{"/graphiql", "/graphiql", "/graphiql/"},
		{"/graphiql/", "/graphiql/", "/graphiql/"},
		{"/tools/graphiql", "/tools/graphiql", "/tools/graphiql/"},
		{"/", "/", "/"},
		{"", "/", "/"},
	}
	address := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for _, tt := range tests {
		t.Run(tt.base, func(t *testing.T) {
			index := string(mustRead(t, serve(t, tt.base, "GET", tt.page).Body))
			followed := 0
			for _, match := range address.FindAllStringSubmatch(index, -1) {
				if strings.HasPrefix(match[1], "data:") {
					continue
				}
				if !strings.HasPrefix(match[1], tt.prefix+"assets/") {
					t.Errorf("address %q is not below %q", match[1], tt.prefix)
				}
				if got := serve(t, tt.base, "GET", match[1]); got.StatusCode != 200 {
					t.Errorf("%s: status %d", match[1], got.StatusCode)
				}
				followed++
			}
			if followed < 2 {
				t.Errorf("followed %d addresses, want a script and a style at least", followed)
			}
			if !strings.Contains(index, `data-base="`+tt.prefix+`"`) {
				t.Errorf("the page is not told its base %q", tt.prefix)
			}
		})
	}
}

func TestBaseIsEscaped(t *testing.T) {
	index := string(mustRead(t, serve(t, `/a"><b>`, "GET", "/a%22%3E%3Cb%3E").Body))
	if strings.Contains(index, `"><b>`) || !strings.Contains(index, "/a&#34;&gt;&lt;b&gt;/assets/") {
		t.Error("the base stands in the page as markup")
	}
}

// TestIndexStaysAtHome guards against an address of another host, and against what the
// policy forbids and a browser would silently not run.
func TestIndexStaysAtHome(t *testing.T) {
	index := string(mustRead(t, serve(t, base, "GET", base).Body))
	if !strings.Contains(index, "<title>Clientele GraphiQL</title>") {
		t.Error("no title")
	}
	// The only address allowed is the name of the SVG namespace, which nobody fetches.
	rest := strings.ReplaceAll(index, "http://www.w3.org/2000/svg", "")
	if found := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]`).FindString(rest); found != "" {
		t.Errorf("the page names another host: %q", found)
	}
	for _, tag := range regexp.MustCompile(`<script[^>]*>`).FindAllString(index, -1) {
		if !strings.Contains(tag, " src=") {
			t.Errorf("inline script %q", tag)
		}
	}
	if found := regexp.MustCompile(`\son[a-z]+=`).FindString(index); found != "" {
		t.Errorf("inline event handler %q", found)
	}
}

// TestSums holds dist to SHA256SUMS, both ways: each sum is of the file as served, and no
// file is without one.
func TestSums(t *testing.T) {
	sums := mustSums(t)
	seen := map[string]bool{}
	for _, file := range mustFiles(t) {
		if file == "SHA256SUMS" {
			continue
		}
		body := mustRead(t, mustOpen(t, file))
		name, packed := strings.CutSuffix(file, ".gz")
		if packed {
			wantPlainGzipHeader(t, file, body)
			body = mustUnpack(t, body)
		}
		seen[name] = true
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != sums[name] {
			t.Errorf("%s: sum differs from SHA256SUMS (%q)", file, sums[name])
		}
	}
	for name := range sums {
		if !seen[name] {
			t.Errorf("%s is in SHA256SUMS but not in dist", name)
		}
	}

	for name, want := range sums {
		if !strings.HasPrefix(name, "assets/") {
			continue
		}
		sum := sha256.Sum256(mustRead(t, serve(t, base, "GET", base+"/"+name).Body))
		if hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is served with other bytes than SHA256SUMS says", name)
		}
	}
}

func TestSizeIsBounded(t *testing.T) {
	var total int64
	for _, file := range mustFiles(t) {
		info, err := fs.Stat(os.DirFS("dist"), file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxFile {
			t.Errorf("%s has %d bytes, limit %d", file, info.Size(), maxFile)
		}
		total += info.Size()
	}
	if total > maxTotal {
		t.Errorf("dist has %d bytes, limit %d", total, maxTotal)
	}
	if total < 1<<20 {
		t.Errorf("dist has %d bytes: the editor cannot be in it", total)
	}
}

func TestLicensesNameWhatShips(t *testing.T) {
	text := string(mustRead(t, mustOpen(t, "THIRD_PARTY_LICENSES")))
	for _, name := range []string{
		"graphiql", "@graphiql/react", "@graphiql/plugin-explorer", "monaco-editor", "monaco-graphql",
		"react", "react-dom", "graphql", "graphql-ws", "prettier",
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` \d+\.\d+\.\d+`).MatchString(text) {
			t.Errorf("no licence of %s", name)
		}
	}
	if !strings.Contains(text, "Permission is hereby granted, free of charge") {
		t.Error("no text of the MIT licence")
	}
	// Monaco carries it in a file of its own tree, and does not say so in its notices.
	if i := strings.Index(text, "DOMPurify"); i < 0 || !strings.Contains(text[i:], "END OF TERMS AND CONDITIONS") {
		t.Error("no word of DOMPurify, or no text of its licence")
	}
}

func TestLockNamesNoRegistry(t *testing.T) {
	lock, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) {
		t.Error("the lock file records where packages came from; see web/.npmrc")
	}
	if !bytes.Contains(lock, []byte(`"integrity": "sha512-`)) {
		t.Error("the lock file pins no content")
	}
}

// serve sends one request to a handler at the base; headers are names and values in turn,
// an empty value for none.
func serve(tb testing.TB, base, method, target string, headers ...string) *http.Response {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	graphiql.Handler(base).ServeHTTP(w, r)
	return w.Result()
}

func wantHeader(tb testing.TB, r *http.Response, name, want string) {
	tb.Helper()
	if got := r.Header.Get(name); got != want {
		tb.Errorf("%s: %q, want %q", name, got, want)
	}
}

// wantPlainGzipHeader checks that neither a time nor a name was packed (RFC 1952, section
// 2.3): they would make two builds of the same source differ.
func wantPlainGzipHeader(tb testing.TB, file string, packed []byte) {
	tb.Helper()
	const flags, mtime, mtimeEnd = 3, 4, 8
	if len(packed) < mtimeEnd || packed[flags] != 0 || !bytes.Equal(packed[mtime:mtimeEnd], make([]byte, 4)) {
		tb.Errorf("%s carries a name or a time", file)
	}
}

// mustAsset is the path below the base of one asset with the extension.
func mustAsset(tb testing.TB, ext string) string {
	tb.Helper()
	for _, file := range mustFiles(tb) {
		if name := strings.TrimSuffix(file, ".gz"); strings.HasPrefix(file, "assets/") && path.Ext(name) == ext {
			return "/" + name
		}
	}
	tb.Fatalf("no %s in dist/assets", ext)
	return ""
}

func mustFiles(tb testing.TB) []string {
	tb.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS("dist"), ".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

func mustSums(tb testing.TB) map[string]string {
	tb.Helper()
	sums := map[string]string{}
	lines := bufio.NewScanner(mustOpen(tb, "SHA256SUMS"))
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			tb.Fatalf("line %q of SHA256SUMS", lines.Text())
		}
		sums[name] = sum
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return sums
}

func mustOpen(tb testing.TB, file string) io.Reader {
	tb.Helper()
	body, err := fs.ReadFile(os.DirFS("dist"), file)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.NewReader(body)
}

func mustRead(tb testing.TB, r io.Reader) []byte {
	tb.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func mustUnpack(tb testing.TB, packed []byte) []byte {
	tb.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		tb.Fatal(err)
	}
	return mustRead(tb, zr)
}
