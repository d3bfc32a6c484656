// Package uploader imports a file through the API, as any client could: it begins an import, uploads the file a
// part at a time, starts its job and follows that to its end (rule E11, ADR 0027).
package uploader

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"clientele/internal/apiclient"
	"clientele/limits"
)

// The times of an upload.
const (
	// Pause is the first wait before something unavailable is tried again; each further one is twice as long, up
	// to PauseMost.
	Pause     = time.Second
	PauseMost = 30 * time.Second
	// Patience is how long one call is tried again.
	Patience = 10 * time.Minute
	// Look is the time between two looks at the job.
	Look = time.Second
)

// Upload is one file for one server. Its methods are for one goroutine.
type Upload struct {
	// API is the server's, with a token of ADMIN or INTEGRATION.
	API apiclient.Client
	// Kind is the API's ImportKind; not asked for when Resume names an import that was begun.
	Kind, Resume string
	// File is the file, of Size bytes.
	File io.ReaderAt
	Size int64
	// Failed takes the records that failed, as CSV: record, field, code, message. nil: nobody wants to know.
	Failed io.Writer
	// Tell takes a line of progress for people.
	Tell func(format string, args ...any)
	// Wait waits for a time, or fails as soon as ctx ends.
	Wait func(ctx context.Context, d time.Duration) error

	// ID is the import's id, once there is one.
	ID string
}

// Result is what came of a job.
type Result struct {
	// State is the job's, one of those in which it has ended.
	State string
	// Done is how many records were dealt with; Changed, of how many something was written; Failures, how many
	// failed, by code.
	Done, Changed int64
	Failures      map[string]int64
}

// FailedCount is how many records failed.
func (r *Result) FailedCount() (n int64) {
	for _, count := range r.Failures {
		n += count
	}
	return n
}

// job is a Job as it is asked for.
type job struct {
	ID                      string
	State                   string
	IsResting               bool
	TotalCount              *int64
	DoneCount, ChangedCount int64
	Failures                []struct {
		Code  string
		Count int64
	}
	Error *struct{ Code, Message string }
}

type begun struct {
	ID   string
	Size int64
	Job  *struct{ ID string }
}

// Run imports the file and answers what came of it. It fails with what the API refused, an *apiclient.Refusal; after that,
// or when ctx ended, the upload goes on where it was by another Run whose Resume is ID.
func (u *Upload) Run(ctx context.Context) (*Result, error) {
	b, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	u.ID = b.ID
	id := ""
	if b.Job != nil {
		id = b.Job.ID
	} else {
		if err := u.parts(ctx, b); err != nil {
			return nil, err
		}
		var started struct {
			StartImport struct{ Job struct{ ID string } }
		}
		if err := u.ask(ctx, `mutation($i: ID!) { startImport(input: {importId: $i}) { job { id } } }`, vars{"i": b.ID}, &started); err != nil {
			return nil, err
		}
		id = started.StartImport.Job.ID
	}
	u.Tell("job %s", id)
	j, err := u.follow(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := u.failed(ctx, id); err != nil {
		return nil, err
	}
	r := &Result{State: j.State, Done: j.DoneCount, Changed: j.ChangedCount, Failures: map[string]int64{}}
	for _, f := range j.Failures {
		r.Failures[f.Code] = f.Count
	}
	if j.Error != nil {
		return r, fmt.Errorf("the job failed: %s: %s", j.Error.Code, j.Error.Message)
	}
	return r, nil
}

// begin makes an import, or finds the one that is gone on with.
func (u *Upload) begin(ctx context.Context) (*begun, error) {
	if u.Resume == "" {
		var made struct{ CreateImport struct{ Import begun } }
		// Tried once: an import whose answer is lost would stay open for a day.
		if err := u.once(ctx, `mutation($k: ImportKind!) { createImport(input: {kind: $k}) { import { id size job { id } } } }`, vars{"k": u.Kind}, &made); err != nil {
			return nil, err
		}
		u.Tell("import %s: to go on after an interruption, --resume=%[1]s", made.CreateImport.Import.ID)
		return &made.CreateImport.Import, nil
	}
	var found struct{ Import *begun }
	if err := u.ask(ctx, `query($i: ID!) { import(importId: $i) { id size job { id } } }`, vars{"i": u.Resume}, &found); err != nil {
		return nil, err
	}
	if found.Import == nil {
		return nil, errors.New("there is no such import any more")
	}
	if found.Import.Size > u.Size {
		return nil, fmt.Errorf("the import has %d bytes, the file only %d: it is another file", found.Import.Size, u.Size)
	}
	return found.Import, nil
}

// parts uploads what the import lacks.
func (u *Upload) parts(ctx context.Context, b *begun) error {
	part := make([]byte, limits.ImportPartBytes)
	for at := b.Size; at < u.Size; {
		n, err := u.File.ReadAt(part[:min(int64(len(part)), u.Size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("the file cannot be read: %w", err)
		}
		if n == 0 {
			return errors.New("the file has become shorter")
		}
		// Tried again as it is: bytes that stand there already are a success (ADR 0027).
		err = u.ask(ctx, `mutation($i: ID!, $at: Int!, $data: Base64!) { uploadImport(input: {importId: $i, offset: $at, data: $data}) { import { size } } }`,
			vars{"i": b.ID, "at": at, "data": part[:n]}, nil)
		if err != nil {
			return err
		}
		at += int64(n)
		u.Tell("uploaded %d of %d bytes", at, u.Size)
	}
	return nil
}

// follow looks at the job until it has ended, and tells when it got on.
func (u *Upload) follow(ctx context.Context, id string) (*job, error) {
	told := int64(-1)
	rested := false
	for {
		var seen struct{ Job *job }
		err := u.ask(ctx, `query($j: ID!) { job(jobId: $j) { id state isResting totalCount doneCount changedCount failures { code count } error { code message } } }`,
			vars{"j": id}, &seen)
		if err != nil {
			return nil, err
		}
		j := seen.Job
		if j == nil {
			return nil, errors.New("there is no such job any more")
		}
		if j.DoneCount != told {
			told = j.DoneCount
			if j.TotalCount != nil {
				u.Tell("done %d of %d records", told, *j.TotalCount)
			} else {
				u.Tell("done %d records", told)
			}
		}
		if j.IsResting && !rested {
			u.Tell("the account is closed: the job rests until it is open again")
		}
		rested = j.IsResting
		if j.State != "QUEUED" && j.State != "RUNNING" {
			return j, nil
		}
		if err := u.Wait(ctx, Look); err != nil {
			return nil, err
		}
	}
}

// failed writes the records that failed.
func (u *Upload) failed(ctx context.Context, id string) error {
	if u.Failed == nil {
		return nil
	}
	w := csv.NewWriter(u.Failed)
	if err := w.Write([]string{"record", "field", "code", "message"}); err != nil {
		return err
	}
	var after any
	for {
		var page struct {
			Job struct {
				FailedItems struct {
					Nodes []struct {
						Number int64
						Error  struct {
							Code, Message string
							Field         *string
						}
					}
					PageInfo struct {
						EndCursor   *string
						HasNextPage bool
					}
				}
			}
		}
		err := u.ask(ctx, `query($j: ID!, $n: Int!, $after: String) { job(jobId: $j) { failedItems(first: $n, after: $after) {
			nodes { number error { code field message } } pageInfo { endCursor hasNextPage } } } }`, vars{"j": id, "n": limits.PageMax, "after": after}, &page)
		if err != nil {
			return err
		}
		items := page.Job.FailedItems
		for _, i := range items.Nodes {
			field := ""
			if i.Error.Field != nil {
				field = *i.Error.Field
			}
			if err := w.Write([]string{strconv.FormatInt(i.Number, 10), field, i.Error.Code, i.Error.Message}); err != nil {
				return err
			}
		}
		if !items.PageInfo.HasNextPage || items.PageInfo.EndCursor == nil {
			w.Flush()
			return w.Error()
		}
		after = *items.PageInfo.EndCursor
	}
}
