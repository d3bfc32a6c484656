package tests

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/blobs"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// metBlobs are the files of a node that is met whenever it is about to write one.
type metBlobs struct {
	services.Blobs
	meet func(ctx context.Context, write func() error) error
}

func (b *metBlobs) Put(ctx context.Context, key string, data []byte, mediaType string) error {
	return b.meet(ctx, func() error { return b.Blobs.Put(ctx, key, data, mediaType) })
}

// imageNode is another node of the same database and folder, whose uploads are met.
func (w *world) imageNode(folder string, meet func(ctx context.Context, write func() error) error) *services.Services {
	w.tb.Helper()
	set := config.Default()
	set.MasterKeys = []config.Secret{config.Secret("test=" + strings.Repeat("5a", 32))} // as start has it
	ring, err := set.NewRing()
	if err != nil {
		w.tb.Fatal(err)
	}
	files, err := blobs.New(folder)
	if err != nil {
		w.tb.Fatal(err)
	}
	return services.New(services.Deps{Store: w.Store, Hub: w.Hub, Ring: ring, Log: slog.New(slog.DiscardHandler), Blobs: &metBlobs{files, meet}})
}

// uploadAt uploads a file at a node as ADMIN.
func (t *tenant) uploadAt(ctx context.Context, at *services.Services, data []byte) error {
	t.tb.Helper()
	account, err := t.Store.View(ctx).Account(t.account)
	if err != nil {
		return err
	}
	ctx = services.WithScope(ctx, &services.Scope{Viewer: &auth.Viewer{Role: auth.RoleAdmin, Account: t.account.String(), Subject: "admin"}, Account: account})
	results, err := at.UploadImages(ctx, []services.ImageFile{{Content: bytes.NewReader(data), Size: int64(len(data))}})
	if err != nil {
		return err
	}
	return results[0].Err
}

// Ensure the file of an image that two give back at the same moment is swept when the image is deleted meanwhile and one of them dies with the file written: whether
// the other has given it back before, or finds the image gone too (rule H6).
func TestImageGivenBackByWhoDies(t *testing.T) {
	for name, isLate := range map[string]bool{"the other gave it back": false, "the other looks again": true} {
		t.Run(name, func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, dsn string) {
				w, folder := withImages(t, dsn, nil)
				a := w.found(setup{}, "main")
				data := imageOf(t, "PNG", 4, 3)
				id := keyOf(t, a.upload("admin", data)[0])
				if err := os.Remove(filepath.Join(folder, a.account.String(), id.String())); err != nil {
					t.Fatal(err)
				}
				forget := func() { // as an erasure of who alone had it does
					if _, err := w.db.ExecContext(t.Context(), "UPDATE image SET unused_since = ?", int64(models.ImageForgotten)); err != nil {
						t.Error(err)
					}
					w.sweptImages()
					if n := w.count("SELECT COUNT(*) FROM image"); n != 0 {
						t.Errorf("%d images are there", n)
					}
				}
				begun, write, written, died := make(chan struct{}), make(chan struct{}), make(chan error), make(chan error)
				dead := w.imageNode(folder, func(ctx context.Context, put func() error) error {
					begun <- struct{}{}
					<-write
					written <- put()
					<-ctx.Done() // it is killed here
					return ctx.Err()
				})
				life, kill := context.WithCancel(t.Context())
				go func() { died <- a.uploadAt(life, dead, data) }()
				<-begun
				want := int64(0)
				if isLate {
					want = 1
					first := true
					other := w.imageNode(folder, func(_ context.Context, put func() error) error {
						if first {
							first = false
							forget()
						}
						return put()
					})
					if err := a.uploadAt(t.Context(), other, data); err != nil {
						t.Errorf("the other: %v", err)
					}
					w.clock.Advance(time.Microsecond)
					w.sweptImages() // what it gave back to an image that was gone
				} else {
					a.upload("admin", data)
					forget()
				}
				if n := len(filesIn(t, folder)); int64(n) != want {
					t.Errorf("%d files, want %d", n, want)
				}
				write <- struct{}{}
				if err := <-written; err != nil {
					t.Fatal(err)
				}
				kill()
				if err := <-died; err == nil {
					t.Error("who was killed has an answer")
				}
				if n := len(filesIn(t, folder)); int64(n) != want+1 {
					t.Errorf("%d files with that of who died, want %d", n, want+1)
				}
				// Nobody knows that it died: its file has as long as any that is being written.
				w.clock.Advance(limits.ImageKept)
				w.sweptImages()
				images := w.count("SELECT COUNT(*) FROM image")
				if files, rows := int64(len(filesIn(t, folder))), w.count("SELECT COUNT(*) FROM image_file"); files != images || rows != 0 {
					t.Errorf("a day later: %d files of %d images, %d rows", files, images, rows)
				}
			})
		})
	}
}
