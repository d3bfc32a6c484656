// Package graphiql serves GraphiQL, the page in which analysts and developers explore the
// schema, run operations and watch subscriptions. The page is built from the folder web by
// build.sh, committed in the folder dist and embedded, so it needs no network but the
// server it comes from. The package knows nothing of the product: the page talks to
// /graphql of its own origin, by POST and by WebSocket, with the token its user pastes.
//
// The page shows whatever that token may read. A server offers it only where it is asked
// to (rule V8: a setting, off by default).
package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// The files are stored packed: nearly every browser takes them as they are, and the
// binary stays 5 MB smaller.
//
//go:embed all:dist
var dist embed.FS

const (
	indexFile    = "dist/index.html.gz"
	licensesFile = "THIRD_PARTY_LICENSES"

	// Names of assets carry a hash of their content, so a name never means other bytes.
	cacheForever = "public, max-age=31536000, immutable"
	// The rest is asked for again each time, and answered with 304 while it is the same.
	cacheNever = "no-cache"
)

// contentSecurityPolicy lets the page run its own scripts and talk to its own origin, and
// nothing else: it holds a token, which no injected script, foreign frame or outside
// request may carry away. Styles may be inline, since Monaco writes the places of lines and
// the colours of words as elements and attributes of style, with no nonce; without scripts and
// requests a style can deface the page and carry nothing away. Monaco's own style holds small
// pictures as data. In connect-src, 'self' covers the WebSocket as well.
const contentSecurityPolicy = "default-src 'none'; " +
	"script-src 'self'; " +
	"style-src 'self' 'unsafe-inline'; " +
	"worker-src 'self'; " +
	"connect-src 'self'; " +
	"font-src 'self'; " +
	"img-src 'self' data:; " +
	"base-uri 'none'; " +
	"form-action 'none'; " +
	"frame-ancestors 'none'"

// Handler serves the page at base, such as "/graphiql", with or without a slash at its
// end, and the page's files below it. It answers GET and HEAD; any other method is 405,
// any other path 404. Files go out packed to clients that accept gzip and plain to others.
// Every answer carries the Content-Security-Policy of the page. The handler is safe for
// concurrent use and keeps no state of its clients.
func Handler(base string) http.Handler {
	h := &handler{base: strings.TrimRight(base, "/")}
	h.index, h.err = loadIndex(h.base)
	return h
}

type handler struct {
	base  string // Without a slash at its end; "" for the root.
	index document
	err   error // Why there is no index: the folder dist is broken.
}

// document is a file that is not named by its content, so that clients ask whether theirs
// is current.
type document struct {
	body        []byte
	contentType string
	etag        string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	// No page of another origin keeps a hand on the window, nor shows what is sent for this one.
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")

	send, ok := h.route(r.URL.Path)
	switch {
	case !ok:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		send(w, r)
	}
}

// route finds what answers the path of a request.
func (h *handler) route(urlPath string) (http.HandlerFunc, bool) {
	name, ok := strings.CutPrefix(urlPath, h.base)
	if !ok {
		return nil, false
	}
	switch {
	case name == "" || name == "/":
		return h.sendIndex, true
	case name == "/"+licensesFile:
		return sendLicenses, true
	case strings.HasPrefix(name, "/assets/"):
		packed, err := dist.ReadFile("dist" + name + ".gz")
		if err != nil {
			return nil, false
		}
		return func(w http.ResponseWriter, r *http.Request) { sendAsset(w, r, name, packed) }, true
	default:
		return nil, false
	}
}

func (h *handler) sendIndex(w http.ResponseWriter, r *http.Request) {
	if h.err != nil {
		http.Error(w, "GraphiQL was not built into this server", http.StatusInternalServerError)
		return
	}
	sendDocument(w, r, h.index)
}

// sendLicenses serves the licences of what the page is made of, which ask to go wherever
// the page goes.
func sendLicenses(w http.ResponseWriter, r *http.Request) {
	text, err := dist.ReadFile("dist/" + licensesFile)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	sendDocument(w, r, newDocument(text, "text/plain; charset=utf-8"))
}

func sendDocument(w http.ResponseWriter, r *http.Request, d document) {
	header := w.Header()
	header.Set("Cache-Control", cacheNever)
	header.Set("ETag", d.etag)
	header.Set("Vary", "Accept-Encoding")
	if matches(r.Header.Get("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", d.contentType)
	if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Length", strconv.Itoa(len(d.body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(d.body) // It fails only when the client has gone.
		}
		return
	}
	header.Set("Content-Encoding", "gzip")
	if r.Method != http.MethodHead {
		zw := gzip.NewWriter(w)
		_, _ = zw.Write(d.body)
		_ = zw.Close()
	}
}

func sendAsset(w http.ResponseWriter, r *http.Request, name string, packed []byte) {
	header := w.Header()
	header.Set("Cache-Control", cacheForever)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Type", contentType(name))
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
		header.Set("Content-Length", strconv.Itoa(len(packed)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(packed)
		}
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		header.Del("Cache-Control") // A fault must not stay in caches for a year.
		http.Error(w, "GraphiQL was not built into this server", http.StatusInternalServerError)
		return
	}
	// Our own files, bounded by the size of what is embedded.
	_, _ = io.Copy(w, zr) //nolint:gosec // as said.
}

// loadIndex reads the page and points its addresses at base. They are built as "./…",
// which a browser would resolve against the parent of base when the page is asked for
// without a slash at the end.
func loadIndex(base string) (document, error) {
	packed, err := dist.ReadFile(indexFile)
	if err != nil {
		return document{}, fmt.Errorf("read %s: %w", indexFile, err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return document{}, fmt.Errorf("unpack %s: %w", indexFile, err)
	}
	page, err := io.ReadAll(zr)
	if err != nil {
		return document{}, fmt.Errorf("unpack %s: %w", indexFile, err)
	}
	page = bytes.ReplaceAll(page, []byte(`"./`), []byte(`"`+html.EscapeString(base)+`/`))
	return newDocument(page, contentType("index.html")), nil
}

// newDocument names the body by its sum. The tag is weak because the packed and the plain
// answer share it (RFC 9110, section 8.8.1).
func newDocument(body []byte, contentType string) document {
	sum := sha256.Sum256(body)
	return document{body: body, contentType: contentType, etag: `W/"` + hex.EncodeToString(sum[:]) + `"`}
}

// matches reports whether an If-None-Match header names the tag, by weak comparison.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether an Accept-Encoding header allows gzip, by its name or by
// "*", and does not give it the weight 0 (RFC 9110, section 12.5.3).
func acceptsGzip(header string) bool {
	star := false
	for item := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(item, ";")
		allowed := !zeroWeight(params)
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return allowed
		case "*":
			star = allowed
		}
	}
	return star
}

func zeroWeight(params string) bool {
	value, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
	if !ok {
		return false
	}
	weight, err := strconv.ParseFloat(value, 64)
	return err == nil && weight == 0
}

// contentType tells the type of a file by its name. It is written out because the mime
// package asks the system, which may call a script something a browser refuses to run.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".ttf":
		return "font/ttf"
	case ".woff2":
		return "font/woff2"
	default:
		return "application/octet-stream"
	}
}
