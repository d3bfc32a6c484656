package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clientele/internal/config"
)

const uploadText = `mutation($files: [Upload!]!) { uploadImages(input: {files: $files}) { results { image { id type width height bytes url urlExpiresAt } error { code message field limit } } } }`

// imageOf is a file of an image in a format, another one for each size.
func imageOf(tb testing.TB, kind string, w, h int) []byte {
	tb.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		p.SetNRGBA(i%w, i/w, color.NRGBA{R: byte(200 + w), G: byte(i), B: 90, A: 255})
	}
	var b bytes.Buffer
	encode := map[string]func() error{
		"PNG": func() error { return png.Encode(&b, p) }, "JPEG": func() error { return jpeg.Encode(&b, p, nil) }, "GIF": func() error { return gif.Encode(&b, p, nil) },
	}
	if err := encode[kind](); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// form is a body of multipart/form-data, its parts in this order, and its type.
func form(tb testing.TB, operations, paths string, files ...[]byte) (body []byte, contentType string) {
	tb.Helper()
	var b bytes.Buffer
	f := multipart.NewWriter(&b)
	err := f.WriteField("operations", operations)
	if err == nil && paths != "" {
		err = f.WriteField("map", paths)
	}
	for i, file := range files {
		var part io.Writer
		if err == nil {
			part, err = f.CreateFormFile(fmt.Sprint(i), fmt.Sprintf("file %d", i))
		}
		if err == nil {
			_, err = part.Write(file)
		}
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes(), f.FormDataContentType()
}

// uploadForm is a request whose variable files is these.
func uploadForm(tb testing.TB, query string, variables any, files ...[]byte) (body []byte, contentType string) {
	tb.Helper()
	all := map[string]any{}
	if given, ok := variables.(map[string]any); ok {
		for name, v := range given {
			all[name] = v
		}
	}
	all["files"] = make([]any, len(files))
	operations, err := json.Marshal(map[string]any{"query": query, "variables": all})
	if err != nil {
		tb.Fatal(err)
	}
	paths := map[string][]string{}
	for i := range files {
		paths[fmt.Sprint(i)] = []string{fmt.Sprintf("variables.files.%d", i)}
	}
	named, err := json.Marshal(paths)
	if err != nil {
		tb.Fatal(err)
	}
	return form(tb, string(operations), string(named), files...)
}

// postForm sends a body of a type to the API, with headers in pairs.
func (w *world) postForm(token string, body []byte, contentType string, headers ...string) *answer {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.http.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		w.tb.Fatal(err)
	}
	if err := json.Unmarshal(a.body, a); err != nil {
		w.tb.Fatalf("%d: %v: %s", resp.StatusCode, err, a.body)
	}
	return a
}

const preflight = "GraphQL-Require-Preflight"

// sendFiles runs an operation whose variable files is these.
func (w *world) sendFiles(token, query string, variables any, files ...[]byte) *answer {
	w.tb.Helper()
	body, contentType := uploadForm(w.tb, query, variables, files...)
	return w.postForm(token, body, contentType, preflight, "1")
}

// results is what came of the files of a call.
func (w *world) results(a *answer) (all []*answer) {
	w.tb.Helper()
	list, ok := a.field("uploadImages.results").([]any)
	if !ok {
		w.tb.Fatalf("answered %d %.400s", a.status, a.body)
	}
	for _, r := range list {
		all = append(all, &answer{Data: r})
	}
	return all
}

// uploaded keeps images and answers what they are.
func (t *tenant) keptImages(who string, files ...[]byte) []*answer {
	t.tb.Helper()
	all := t.results(t.sendFiles(t.bearer(who, t.account), uploadText, nil, files...))
	for _, r := range all {
		if r.text("image.id") == "" {
			t.tb.Fatalf("not kept: %v", r.Data)
		}
	}
	return all
}

// upload keeps images and answers their ids.
func (t *tenant) upload(who string, files ...[]byte) (ids []string) {
	t.tb.Helper()
	for _, r := range t.keptImages(who, files...) {
		ids = append(ids, r.text("image.id"))
	}
	return ids
}

// fetch asks for an image by its address.
func (w *world) fetch(method, address string, headers ...string) (*http.Response, []byte) {
	w.tb.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.url + address
	}
	r, err := http.NewRequestWithContext(context.Background(), method, address, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.http.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.tb.Fatal(err)
	}
	return resp, body
}

// swept deletes images that nothing uses, and files of none.
func (w *world) sweptImages() {
	w.tb.Helper()
	for {
		n, err := w.Services.SweepImages(context.Background())
		if err != nil {
			w.tb.Fatalf("sweep: %v", err)
		}
		if n == 0 {
			return
		}
	}
}

// filesIn is the names of the files that a folder of images holds.
func filesIn(tb testing.TB, folder string) (names []string) {
	tb.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	return names
}

// withImages starts a world whose images are in a folder that is answered.
func withImages(tb testing.TB, dsn string, change func(*config.Server)) (*world, string) {
	tb.Helper()
	folder := filepath.Join(tb.TempDir(), "images")
	return start(tb, dsn, options{settings: func(s *config.Server) {
		if s.Images = folder; change != nil {
			change(s)
		}
	}}), folder
}
