package services

import (
	"context"
	"encoding/json"

	"clientele/internal/csvfile"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// importJob reads a file (rules B7, E11), a chunk a transaction.
type importJob struct {
	// records is how many a chunk has at most.
	records int
	open    importOpen
	// ask, if there is one, answers open: the next chunk depends on what the channel says.
	ask func(ctx context.Context, job *models.Job) (importOpen, error)
}

// importOpen begins a chunk, and answers the account with it. Its locks come before all others of the chunk.
type importOpen func(tx *store.Tx, job *models.Job, work *importWork) (importChunk, *models.Account, error)

// importChunk is one transaction's worth of a file. It lives for one attempt.
type importChunk interface {
	// take adds a record, unless something is wrong with it by itself: then it answers what.
	take(fields []string) *models.Error
	// write deals with the records that were added, and answers what came of each, in their order.
	write() ([]models.ItemResult, error)
}

// importWork is what such a job is asked for.
type importWork struct {
	Import   models.Key          `json:"import"`
	Records  int64               `json:"records"`
	Encoding csvfile.Encoding    `json:"encoding"`
	Header   models.ImportHeader `json:"header"`
	// Begins is where the first record behind the header does, Size where the file ends.
	Begins int64 `json:"begins"`
	Size   int64 `json:"size"`
	// Actor is who started it, as the audit log names them.
	Actor store.Actor `json:"actor"`
}

// importPlace is how far such a job has come: the byte that the next record begins with, and how many
// records stand before it, the header apart.
type importPlace struct {
	At      int64 `json:"at"`
	Records int64 `json:"records"`
}

// newImportWork looks at the header of a file.
func newImportWork(r *store.Reader, i *models.Import) (*importWork, error) {
	var census csvfile.Census
	if err := json.Unmarshal([]byte(i.Census), &census); err != nil {
		return nil, err
	}
	work := &importWork{Import: i.Key, Size: i.Size}
	work.Records, work.Encoding = census.End()
	data, err := r.ImportBytes(i.AccountID, i.Key, 0, limits.ImportWindow)
	if err != nil {
		return nil, err
	}
	in := work.reader()
	for {
		fields, size, err := in.Read(data[work.Begins:], work.Begins == 0, int64(len(data)) == work.Size)
		if err != nil {
			return nil, models.Invalid("input.importId", "the header cannot be read: %s", err)
		}
		if size == 0 {
			return nil, models.Invalid("input.importId", "the file has no header")
		}
		work.Begins += int64(size)
		if fields == nil {
			continue // a blank line
		}
		var bad *models.Error
		if work.Header, bad = models.NewImportHeader(i.Kind, fields, "input.importId"); bad != nil {
			return nil, bad
		}
		work.Records--
		return work, nil
	}
}

func (w *importWork) reader() *csvfile.Reader {
	return &csvfile.Reader{Encoding: w.Encoding, Longest: limits.ImportRecordBytes}
}

// importAsked is what a job is asked for, and how far it has come.
func importAsked(job *models.Job) (work importWork, at importPlace, err error) {
	if err := json.Unmarshal([]byte(job.Parameters), &work); err != nil {
		return work, at, err
	}
	at.At = work.Begins
	if job.Cursor != "" {
		err = json.Unmarshal([]byte(job.Cursor), &at)
	}
	return work, at, err
}

// chunk takes up to most records off the file's bytes that begin at a place, and answers an item for each, with what is wrong with it
// if that can be told already, which of the items were taken, and how many bytes they have.
func (w *importWork) chunk(data []byte, at importPlace, most int, take func(fields []string) *models.Error) (items []models.ItemResult, taken []int, size int) {
	in, last := w.reader(), at.At+int64(len(data)) == w.Size
	for len(items) < most {
		fields, n, err := in.Read(data[size:], false, last)
		if n == 0 {
			break
		}
		size += n
		if fields == nil && err == nil {
			continue // a blank line
		}
		var bad *models.Error
		if err != nil {
			bad = models.Invalid("", "%s", err)
		} else {
			bad = take(fields)
		}
		items = append(items, models.ItemResult{Err: bad})
		if bad == nil {
			taken = append(taken, len(items)-1)
		}
	}
	return items, taken, size
}

// Total implements jobKind.
func (importJob) Total(_ *store.Reader, job *models.Job) (int64, error) {
	work, _, err := importAsked(job)
	return work.Records, err
}

// Ask implements askingKind.
func (k importJob) Ask(ctx context.Context, job *models.Job) (_ jobKind, err error) {
	if k.ask != nil {
		k.open, err = k.ask(ctx, job)
	}
	return k, err
}

// Step implements jobKind.
func (k importJob) Step(tx *store.Tx, job *models.Job) (items []models.ItemResult, last bool, err error) {
	work, at, err := importAsked(job)
	if err != nil {
		return nil, false, err
	}
	chunk, account, err := k.open(tx, job, &work)
	if err != nil {
		return nil, false, err
	}
	data, err := nextBytes(tx, account, work.Import, at.At, work.Size)
	if err != nil {
		return nil, false, err
	}
	items, taken, size := work.chunk(data, at, k.records, chunk.take)
	results, err := chunk.write()
	if err != nil {
		return nil, false, err
	}
	for i, result := range results {
		items[taken[i]] = result
	}
	for i := range items {
		if bad := items[i].Err; bad != nil {
			items[i].Err = bad.OfRecord(at.Records + int64(i) + 1)
		}
	}
	at.At += int64(size)
	at.Records += int64(len(items))
	job.Cursor, err = passed(tx, work.Import, at.At, at)
	return items, at.At == work.Size, err
}
