package services

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// subjectBytes is the longest subject of an idempotency key; column idempotency.subject.
const subjectBytes = 96

// onceOf is the row of an idempotency key of the viewer's bulk calls (rule E15), of which action
// and body are what counts; nil without a key. Keys belong to the role and subject of the token.
func onceOf(c *Scope, key, action string, body any) (*models.Idempotency, error) {
	if key == "" {
		return nil, nil //nolint:nilnil // the call may be made without one.
	}
	if err := models.CheckIdent(key, "input.idempotencyKey", limits.IdempotencyKeyBytes); err != nil {
		return nil, err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(action+"\x00"), text...))
	subject := c.by()
	if len(subject) > subjectBytes {
		long := sha256.Sum256([]byte(c.Viewer.Subject))
		subject = string(c.Viewer.Role) + "#" + hex.EncodeToString(long[:])
	}
	return &models.Idempotency{AccountID: c.Account.Key, Subject: models.Ident(subject), IdemKey: models.Ident(key), BodyHash: sum[:]}, nil
}

// bulk runs a viewer's bulk call in its transaction, and answers what came of each item. With an
// idempotency key the results are kept with it, and the same key with the same body answers them
// again, changing nothing; with another body it is IDEMPOTENCY_CONFLICT. Without one (once is nil)
// every call counts.
//
// call locks all that the transaction locks and then asks again, which reports whether the key was
// used before: then call returns at once, and what it returns is not looked at. That order makes two
// calls that are alike take turns.
func (s *Services) bulk(ctx context.Context, c *Scope, once *models.Idempotency,
	call func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error),
) (results []models.ItemResult, repeated bool, err error) {
	barrier := s.store.Durable()
	written := s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		results, repeated = nil, false
		again := func() (_ bool, err error) {
			results, repeated, err = firstResults(&tx.Reader, once)
			return repeated, err
		}
		fresh, err := call(tx, again)
		switch {
		case err != nil:
			return err
		case repeated:
			tx.OwnRecord() // nothing changes
			return nil
		}
		results = fresh
		return keepResults(tx, once, fresh)
	})
	err = written
	if errors.Is(written, store.ErrDuplicate) && once != nil {
		// The same key came twice at one instant, and the two had nothing to wait for each other at: the
		// first one committed.
		if results, repeated, err = firstResults(s.store.View(ctx), once); err == nil && !repeated {
			err = unavailable(written) // another key than this one
		}
	}
	if err == nil && repeated {
		// What the first one committed could be seen, and may yet be lost with the database (see sendWith).
		err = unavailable(barrier(ctx))
	}
	if err != nil {
		return nil, false, err
	}
	return results, repeated, nil
}

// repeat is what came of a bulk call when it was made first; repeated is false where it never was, or has no key.
func (s *Services) repeat(ctx context.Context, once *models.Idempotency) (results []models.ItemResult, repeated bool, err error) {
	barrier := s.store.Durable()
	if results, repeated, err = firstResults(s.store.View(ctx), once); err == nil && repeated {
		err = unavailable(barrier(ctx))
	}
	return results, repeated, err
}

// firstResults is what is kept with an idempotency key; found is false for a new one.
func firstResults(r *store.Reader, once *models.Idempotency) (results []models.ItemResult, found bool, err error) {
	if once == nil {
		return nil, false, nil
	}
	row, err := r.Idempotent(once.AccountID, once.Subject, once.IdemKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !bytes.Equal(row.BodyHash, once.BodyHash) {
		return nil, false, errKeyConflict()
	}
	return results, true, json.Unmarshal(row.Results, &results)
}

func keepResults(tx *store.Tx, once *models.Idempotency, results []models.ItemResult) error {
	if once == nil {
		return nil
	}
	row := *once
	row.CreatedAt = tx.Now
	var err error
	if row.Results, err = json.Marshal(results); err != nil {
		return err
	}
	return tx.InsertIdempotency(&row)
}

// errKeyConflict is the answer to a key that was used with another body.
func errKeyConflict() error {
	return &models.Error{Code: models.CodeIdempotencyConflict, Field: "input.idempotencyKey", Message: "the key was used with another body"}
}
