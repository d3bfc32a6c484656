package blobs_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/blobs"
)

// bucket answers as much of S3 as the store asks for, of a bucket "pictures", to whoever signs.
type bucket struct {
	mu    sync.Mutex
	files map[string]string
	types map[string]string
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, ours := strings.CutPrefix(r.URL.Path, "/pictures/")
	if !ours || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	text, there := b.files[key]
	switch {
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		b.files[key], b.types[key] = string(body), r.Header.Get("Content-Type")
	case r.Method == http.MethodDelete:
		delete(b.files, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>`)
	default:
		w.Header().Set("Content-Type", b.types[key])
		_, _ = io.WriteString(w, text)
	}
}

// Ensure files come back as they went, are replaced and deleted, and that what is not there is told: in a folder, and by the protocol of S3
// against a server of the test's own.
func TestStore(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	far := httptest.NewServer(&bucket{files: map[string]string{}, types: map[string]string{}})
	t.Cleanup(far.Close)
	for name, where := range map[string]string{
		"folder": filepath.Join(t.TempDir(), "not there yet"),
		"s3":     "s3://pictures?region=us-east-1&use_path_style=true&request_checksum_calculation=when_required&endpoint=" + far.URL,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := blobs.New(where)
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			read := func(key string) string {
				r, err := s.Get(ctx, key)
				if errors.Is(err, blobs.ErrNotFound) {
					return "none"
				}
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			if got := read("a/1"); got != "none" {
				t.Errorf("before: %q", got)
			}
			for _, text := range []string{"one", "two", ""} {
				if err := s.Put(ctx, "a/1", []byte(text), "image/png"); err != nil {
					t.Fatal(err)
				}
				if got := read("a/1"); got != text {
					t.Errorf("%q is read as %q", text, got)
				}
			}
			if err := s.Put(ctx, "b/1", []byte("other"), "image/gif"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Delete(ctx, "a/1"); err != nil {
					t.Fatal(err)
				}
			}
			if a, b := read("a/1"), read("b/1"); a != "none" || b != "other" {
				t.Errorf("after a deletion: %q, %q", a, b)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Ensure a mistake in where files are is told, and that a store which could not be opened is opened once it can.
func TestWhere(t *testing.T) {
	for where, good := range map[string]bool{
		"": false, "ftp://x": false, "file:///x": false, "s3://": false, "s3://key:secret@bucket": false, "s3://bucket": true, "s3://bucket?region=cn-north-1": true,
		"s3://bucket/some/path": false, "s3://bucket/": false, "s3://bucket?prefix=some/path/": true, "images": true, "/var/images": true,
	} {
		if err := blobs.Check(where); (err == nil) != good {
			t.Errorf("%q: %v", where, err)
		}
		if _, err := blobs.New(where); (err == nil) != good {
			t.Errorf("%q: %v", where, err)
		}
	}
	folder := filepath.Join(t.TempDir(), "images")
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // a file is in its place
		t.Fatal(err)
	}
	s, err := blobs.New(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err == nil {
		t.Error("a folder where a file is was opened")
	}
	if err := s.Put(t.Context(), "a", nil, ""); err == nil {
		t.Error("a file was kept nowhere")
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", []byte("x"), ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Ensure a file is kept in a folder in whatever way its path is spelled.
func TestSpellings(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"plain", "slash/", "./dot", "a/../up", "two//slashes//", "deep/er/./", ".", "./", here + "/whole/", here + "//whole/../other"} {
		s, err := blobs.New(where)
		if err != nil {
			t.Fatal(err)
		}
		kept := make(chan error, 1)
		go func() { kept <- s.Put(t.Context(), "a/1", []byte("x"), "image/png") }()
		select {
		case err := <-kept:
			if err != nil {
				t.Errorf("%q: %v", where, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q: the file is still not kept", where)
		}
		if text, err := os.ReadFile(filepath.Join(where, "a", "1")); err != nil || string(text) != "x" {
			t.Errorf("%q: %q, %v", where, text, err)
		}
	}
}
