package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// StartProfile begins a CPU profile of the product over a time, if --profile asks for profiles.
// stop waits for its end and writes the others.
func (r *Rig) StartProfile(ctx context.Context, program string, over time.Duration) (stop func() error) {
	if r.Profile == "" {
		return func() error { return nil }
	}
	base := "http://" + r.Server.profiles + "/debug/pprof/"
	file := func(kind string) string { return filepath.Join(r.Profile, program+"."+kind+".pprof") }
	done := make(chan error, 1)
	go func() {
		err := os.MkdirAll(r.Profile, 0o750)
		if err == nil {
			err = fetch(ctx, fmt.Sprintf("%sprofile?seconds=%d", base, max(1, int(over.Seconds()))), file("cpu"))
		}
		done <- err
	}()
	return func() error {
		err := <-done
		for _, kind := range []string{"heap", "mutex", "block", "allocs", "goroutine"} {
			err = errors.Join(err, fetch(ctx, base+kind, file(kind)))
		}
		// What is live is known only after a collection.
		return errors.Join(err, fetch(ctx, base+"heap?gc=1", file("live")))
	}
}

func fetch(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	return errors.Join(err, f.Close())
}
