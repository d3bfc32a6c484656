// Package blobs keeps files by key: in a folder of this machine, or in a bucket of a service that speaks S3. It knows nothing of what
// they are.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // s3://
	"gocloud.dev/gcerrors"
)

// ErrNotFound is for a key without a file; it wraps fs.ErrNotExist.
var ErrNotFound = fmt.Errorf("no file has this key: %w", fs.ErrNotExist)

// Store keeps files. It is opened when it is first needed, again and again until that works. It is safe for concurrent use.
type Store struct {
	where  string
	folder string // empty: a bucket

	mu     sync.Mutex
	bucket *blob.Bucket
}

// New is the store at a folder's path, or at an address of the form s3://BUCKET?region=REGION&endpoint=URL. Nothing is opened yet. It fails
// for an address that can be none.
func New(where string) (*Store, error) {
	if err := Check(where); err != nil {
		return nil, err
	}
	s := &Store{where: where}
	if !isBucket(where) {
		folder, err := filepath.Abs(where) // in one spelling: sync climbs up to it
		if err != nil {
			return nil, err
		}
		s.folder = folder
	}
	return s, nil
}

func isBucket(where string) bool { return strings.HasPrefix(where, "s3://") }

// Check says what is wrong with where files are to be kept. It opens nothing.
func Check(where string) error {
	switch {
	case where == "":
		return errors.New("it is empty")
	case !isBucket(where) && strings.Contains(where, "://"):
		return errors.New("it is neither a folder nor an address s3://BUCKET")
	case !isBucket(where):
		return nil
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("it is no address s3://BUCKET?region=REGION")
	}
	if u.Path != "" {
		return errors.New("a bucket has no folders: a path behind it is given as ?prefix=some/path/")
	}
	return nil
}

// Open opens the store now, so that a mistake in where it is shows at the start. What a bucket holds is not asked for.
func (s *Store) Open(ctx context.Context) error {
	_, err := s.opened(ctx)
	return err
}

func (s *Store) opened(ctx context.Context) (*blob.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket != nil {
		return s.bucket, nil
	}
	var err error
	if s.folder == "" {
		s.bucket, err = blob.OpenBucket(ctx, s.where)
		return s.bucket, err
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return nil, err
	}
	// Files beside each other are renamed into their place: a file that is there is whole.
	s.bucket, err = fileblob.OpenBucket(s.folder, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700})
	return s.bucket, err
}

// Put keeps a file. When it returns without an error the file is there, whole, and survives a loss of power as far as the disk or the service
// says so. A key that is taken gets the new file.
func (s *Store) Put(ctx context.Context, key string, data []byte, mediaType string) error {
	b, err := s.opened(ctx)
	if err != nil {
		return err
	}
	if err := b.WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: mediaType, DisableContentTypeDetection: true}); err != nil {
		return fmt.Errorf("keep a file: %w", err)
	}
	if s.folder == "" {
		return nil
	}
	return s.sync(ctx, key)
}

// sync has the disk keep a file, its name, and the names of the folders above it.
func (s *Store) sync(ctx context.Context, key string) error {
	path := filepath.Join(s.folder, filepath.FromSlash(key))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		above := filepath.Dir(path)
		if path == s.folder || path == above {
			return nil
		}
		path = above
	}
}

// Get opens a file; whoever reads it closes it. ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	b, err := s.opened(ctx)
	if err != nil {
		return nil, err
	}
	r, err := b.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a file: %w", err)
	}
	return r, nil
}

// Exists reports whether there is a file.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	b, err := s.opened(ctx)
	if err != nil {
		return false, err
	}
	there, err := b.Exists(ctx, key)
	if err != nil {
		return false, fmt.Errorf("look for a file: %w", err)
	}
	return there, nil
}

// Delete deletes a file; one that is not there is deleted.
func (s *Store) Delete(ctx context.Context, key string) error {
	b, err := s.opened(ctx)
	if err != nil {
		return err
	}
	if err := b.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete a file: %w", err)
	}
	return nil
}

// Close ends the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket == nil {
		return nil
	}
	return s.bucket.Close()
}
