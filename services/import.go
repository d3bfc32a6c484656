package services

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"clientele/internal/csvfile"
	"clientele/internal/linefile"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// CreateImport begins a file (rules B7, E11): LIMIT_EXCEEDED beyond limits.ImportsOpen.
func (s *Services) CreateImport(ctx context.Context, kind models.ImportKind) (i *models.Import, err error) {
	c, err := s.begin(ctx, mayCreateImport)
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		n, err := tx.CountOpenImports(tx.Account)
		if err != nil {
			return err
		}
		if n >= limits.ImportsOpen {
			return models.TooMany("", limits.ImportsOpen, "the account has %d imports that have not ended", n)
		}
		i = &models.Import{AccountID: tx.Account, Key: models.NewKey(), Kind: kind, By: c.by(), Census: "{}", CreatedAt: tx.Now, UpdatedAt: tx.Now}
		if err := tx.InsertImport(i); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "createImport", TargetKind: "Import", Target: i.Key, After: map[string]any{"kind": kind}})
	})
	return i, err
}

// UploadImport adds bytes to the end of a file. offset is how many it has by the caller's count: so a call
// whose answer was lost can be repeated, and changes nothing the second time. Errors: NOT_FOUND; STATE once the import was
// started; INVALID for an offset that is not the end, unless these bytes stand there already; LIMIT_EXCEEDED.
func (s *Services) UploadImport(ctx context.Context, key models.Key, offset int64, data []byte) (i *models.Import, err error) {
	c, err := s.begin(ctx, mayUploadImport)
	if err != nil {
		return nil, err
	}
	switch {
	case len(data) == 0:
		return nil, models.Invalid("input.data", "is empty")
	case len(data) > limits.ImportPartBytes:
		return nil, models.TooMany("input.data", limits.ImportPartBytes, "has %d bytes, at most %d are allowed", len(data), limits.ImportPartBytes)
	case offset < 0 || offset+int64(len(data)) > limits.ImportBytes:
		return nil, models.TooMany("input.offset", limits.ImportBytes, "a file has at most %d bytes", limits.ImportBytes)
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		tx.OwnRecord() // its beginning and its start are in the audit log.
		if i, err = lockImport(tx, key); err != nil {
			return err
		}
		if offset != i.Size {
			there, err := tx.ImportPart(tx.Account, key, offset)
			if err == nil && bytes.Equal(there.Data, data) {
				return nil
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return models.Invalid("input.offset", "the file has %d bytes", i.Size)
		}
		if !i.JobID.IsZero() {
			return &models.Error{Code: models.CodeState, Field: "input.importId", Message: "the import was started"}
		}
		census, err := censusOf(i)
		if err != nil {
			return err
		}
		census.Add(data)
		text, err := json.Marshal(census)
		if err != nil {
			return err
		}
		i.Size, i.Census = i.Size+int64(len(data)), string(text)
		if err := tx.InsertImportPart(&models.ImportPart{AccountID: tx.Account, ImportID: key, Begins: offset, Data: data}); err != nil {
			return err
		}
		return tx.UpdateImport(i)
	})
	if err != nil {
		return nil, err
	}
	return counted(i)
}

// StartImport starts the job that reads a file which is complete (rules B7, E11). The header of a CSV file is looked at first: INVALID
// when that names nobody. One that was started before answers its job. Errors: NOT_FOUND, INVALID, LIMIT_EXCEEDED (jobs).
func (s *Services) StartImport(ctx context.Context, key models.Key) (i *models.Import, job *models.Job, err error) {
	c, err := s.begin(ctx, mayStartImport)
	if err != nil {
		return nil, nil, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		if i, err = lockImport(tx, key); err != nil {
			return err
		}
		if !i.JobID.IsZero() {
			tx.OwnRecord() // nothing changes
			if job, err = tx.LockJob(i.JobID); errors.Is(err, store.ErrNotFound) {
				return models.NotFound("import", "input.importId")
			}
			return err
		}
		work, told, err := importWorkOf(&tx.Reader, i, c.actor())
		if err != nil {
			return err
		}
		if job, err = startJob(tx, i.Kind.Job(), c.by(), work); err != nil {
			return err
		}
		i.JobID = job.Key
		if err := tx.UpdateImport(i); err != nil {
			return err
		}
		return tx.Audit(store.Change{
			Action: "startImport", TargetKind: "Job", Target: job.Key,
			After: told,
		})
	})
	if err != nil {
		return nil, nil, err
	}
	s.wakeJobs()
	i, err = counted(i)
	return i, job, err
}

// DeleteImport forgets a file that was not started; its bytes are deleted by and by. STATE once it was started,
// NOT_FOUND otherwise.
func (s *Services) DeleteImport(ctx context.Context, key models.Key) error {
	c, err := s.begin(ctx, mayDeleteImport)
	if err != nil {
		return err
	}
	return s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		i, err := lockImport(tx, key)
		if err != nil {
			return err
		}
		if !i.JobID.IsZero() {
			return &models.Error{Code: models.CodeState, Field: "input.importId", Message: "the import was started; cancel its job"}
		}
		i.DeletedAt = tx.Now
		if err := tx.UpdateImport(i); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "deleteImport", TargetKind: "Import", Target: i.Key, Before: map[string]any{"kind": i.Kind, "bytes": i.Size}})
	})
}

// Import finds one of the account's: NOT_FOUND.
func (s *Services) Import(ctx context.Context, key models.Key) (*models.Import, error) {
	c, err := s.begin(ctx, mayImport)
	if err != nil {
		return nil, err
	}
	i, err := s.store.View(ctx).Import(c.Account.Key, key)
	if i, err = known(i, err, "import", "importId"); err != nil {
		return nil, err
	}
	return counted(i)
}

func lockImport(tx *store.Tx, key models.Key) (*models.Import, error) {
	i, err := tx.LockImport(key)
	return known(i, err, "import", "input.importId")
}

// census counts a file's records while it is uploaded, and is kept as JSON between its parts.
type census interface{ Add(data []byte) }

// censusOf is what is known of an import's bytes so far.
func censusOf(i *models.Import) (c census, err error) {
	c = &csvfile.Census{}
	if i.Kind == models.ImportMessages {
		c = &linefile.Census{}
	}
	return c, json.Unmarshal([]byte(i.Census), c)
}

// importWorkOf is what the job that reads a file is asked for, and what of that the audit log is told. Errors: INVALID.
func importWorkOf(r *store.Reader, i *models.Import, by store.Actor) (work any, told map[string]any, err error) {
	told = map[string]any{"kind": i.Kind, "bytes": i.Size}
	if i.Kind == models.ImportMessages {
		messages, err := newImportMessagesWork(i)
		if err != nil {
			return nil, nil, err
		}
		told["records"] = messages.Records
		return messages, told, nil
	}
	people, err := newImportWork(r, i)
	if err != nil {
		return nil, nil, err
	}
	people.Actor = by
	told["records"], told["encoding"] = people.Records, people.Encoding
	return people, told, nil
}

// counted gives an import the number of its records, the header apart.
func counted(i *models.Import) (*models.Import, error) {
	c, err := censusOf(i)
	switch c := c.(type) {
	case *csvfile.Census:
		records, _ := c.End()
		i.Records = max(0, records-1)
	case *linefile.Census:
		i.Records = c.End()
	}
	return i, err
}

// imports deletes the files of imports that are over, a few parts a transaction.
func (p *pass) imports(ctx context.Context) error {
	const parts = 8
	before := p.now.Add(-limits.ImportLife - limits.ClockSkew)
	for {
		over, err := p.s.store.View(ctx).OverImports(before, limits.BatchRows)
		if err != nil {
			return err
		}
		for _, i := range over {
			for gone := false; !gone; {
				err := p.write(ctx, i.AccountID, func(tx *store.Tx) error {
					// It may have been gone on with since.
					over, err := tx.IsImportOver(i.Key, before)
					if gone = !over; gone || err != nil {
						return err
					}
					n, err := tx.DeleteImportParts(i.Key, limits.ImportBytes, parts)
					if gone = n < parts; !gone || err != nil {
						return err
					}
					return tx.DeleteImport(i.Key)
				})
				if err != nil {
					return err
				}
				if err := p.pause(ctx); err != nil {
					return err
				}
			}
			p.done.Imports++
		}
		if len(over) < limits.BatchRows {
			return nil
		}
	}
}
