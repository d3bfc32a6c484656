package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"clientele/internal/apiclient"
	"clientele/internal/config"
	"clientele/internal/uploader"
)

type importCommand struct {
	config.Import
	File string `arg:"" placeholder:"FILE" help:"The file to import."`
}

// Run imports a file through a server's API and tells how it gets on.
func (c *importCommand) Run(ctx context.Context) (err error) {
	token, err := c.Bearer()
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New(c.File + " is no regular file")
	}
	var failed io.Writer
	if c.Failed != "" {
		f, err := os.Create(c.Failed)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		failed = f
	}
	u := &uploader.Upload{
		API:  apiclient.Client{HTTP: &http.Client{}, URL: c.URL, Token: token},
		Kind: c.Kind, Resume: c.Resume, File: file, Size: info.Size(), Failed: failed,
		Tell: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
		Wait: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		},
	}
	r, err := u.Run(ctx)
	if err != nil && u.ID != "" && ctx.Err() != nil {
		return errors.New("interrupted; go on with --resume=" + u.ID) // not ctx's error: what was asked for was not done.
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d records, %d changed something, %d failed\n", r.State, r.Done, r.Changed, r.FailedCount())
	if r.State != "FINISHED" || r.FailedCount() > 0 {
		return fmt.Errorf("not every record was done: %v", r.Failures)
	}
	return nil
}
