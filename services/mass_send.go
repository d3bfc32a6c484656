package services

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// MassSend is an article mass send of the account as the merchant reports it.
type MassSend struct {
	// Key names it in the account: 1 to limits.IdempotencyKeyBytes of printable ASCII.
	Key models.Ident
	// At is when it was sent: not in the future; up to limits.ClockSkew ahead counts as now.
	At models.Time
	// ToAll: to everybody who followed then. Else to OpenIDs, 1 to limits.MassSendOpenIDs.
	ToAll   bool
	OpenIDs []models.Ident
}

// RecordMassSend counts a mass send among the outreaches of the month it was sent in (rule G3). One
// of a month that is over is recorded and changes nothing. repeated says that the key, with the
// same time and audience, was recorded before; with others it is IDEMPOTENCY_CONFLICT. Openids
// that are no customer's are counted as unknown and otherwise ignored.
//
// To all is one row, which each ledger takes in when it is next asked (models.Contact.CaughtUp). A list
// is counted limits.MassSendChunk openids a transaction, each transaction noting how far it came: a call
// that was broken off, by UNAVAILABLE say, is finished by the same call, and counts nobody twice.
// Errors: INVALID, LIMIT_EXCEEDED, IDEMPOTENCY_CONFLICT.
func (s *Services) RecordMassSend(ctx context.Context, in MassSend) (m *models.MassSend, repeated bool, err error) {
	c, err := s.begin(ctx, mayRecordMassSend)
	if err != nil {
		return nil, false, err
	}
	if err := in.check(s.Now()); err != nil {
		return nil, false, err
	}
	in.OpenIDs = slices.Clone(in.OpenIDs)
	slices.Sort(in.OpenIDs)
	in.OpenIDs = slices.Compact(in.OpenIDs)
	barrier := s.store.Durable()
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) (err error) {
		m, repeated, err = recordMassSend(tx, in)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for m.Done < m.Total {
		barrier = s.store.Durable()
		before, openids := m, in.OpenIDs[m.Done:min(m.Done+limits.MassSendChunk, m.Total)]
		err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) (err error) {
			tx.OwnRecord() // the mass send's row, which the first transaction put into the audit log
			m, err = countMassSend(tx, before, openids)
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	// The last transaction may have written nothing, because an equal call did before: what this one
	// saw of it could yet be lost with the database (see sendWith).
	if err := unavailable(barrier(ctx)); err != nil {
		return nil, false, err
	}
	return m, repeated, nil
}

func (in MassSend) check(now models.Time) error {
	if err := models.CheckIdent(string(in.Key), "input.key", limits.IdempotencyKeyBytes); err != nil {
		return err
	}
	if in.At > now.Add(limits.ClockSkew) {
		return models.Invalid("input.at", "is in the future")
	}
	if in.ToAll {
		return nil
	}
	const field = "input.audience.openids"
	if len(in.OpenIDs) == 0 {
		return models.Invalid(field, "is empty")
	}
	if len(in.OpenIDs) > limits.MassSendOpenIDs {
		return models.TooMany(field, limits.MassSendOpenIDs, "at most %d in a call", limits.MassSendOpenIDs)
	}
	for i, o := range in.OpenIDs {
		if err := models.CheckIdent(string(o), fmt.Sprintf("%s.%d", field, i), limits.OpenIDBytes); err != nil {
			return err
		}
	}
	return nil
}

// body is what a repeat must equal.
func (in MassSend) body() []byte {
	h := sha256.New()
	h.Write([]byte(strconv.FormatInt(int64(in.At), 10) + " " + strconv.FormatBool(in.ToAll)))
	for _, o := range in.OpenIDs {
		h.Write([]byte("\x00" + o))
	}
	return h.Sum(nil)
}

// recordMassSend writes the row of a mass send, or finds that of its key. Under the account's lock:
// what goes to all is numbered in the order of the commits.
func recordMassSend(tx *store.Tx, in MassSend) (m *models.MassSend, repeated bool, err error) {
	account, err := tx.LockAccount()
	if err != nil {
		return nil, false, err
	}
	m, err = tx.LockMassSend(in.Key)
	if err == nil {
		tx.OwnRecord() // nothing changes
		if !bytes.Equal(m.BodyHash, in.body()) {
			return nil, false, &models.Error{Code: models.CodeIdempotencyConflict, Field: "input.key", Message: "the key was used for another time or audience"}
		}
		return m, true, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, false, err
	}
	at := min(in.At, tx.Now)
	m = &models.MassSend{
		AccountID: tx.Account, SendKey: in.Key, At: at, Month: account.Policy().MonthOf(at),
		BodyHash: in.body(), Total: len(in.OpenIDs), CreatedAt: tx.Now,
	}
	if in.ToAll {
		account.MassHead++
		m.No = account.MassHead
		if err := tx.UpdateAccount(account, "mass_head"); err != nil {
			return nil, false, err
		}
	}
	if err := tx.InsertMassSend(m); err != nil {
		return nil, false, err
	}
	return m, false, tx.Audit(store.Change{
		Action: "recordMassSend", TargetKind: "Account", Target: tx.Account,
		After: map[string]any{"key": in.Key, "at": at, "toAll": in.ToAll, "openids": m.Total},
	})
}

// countMassSend counts a mass send for the next openids of its list, unless another call did so
// meanwhile, and answers how far it has come.
func countMassSend(tx *store.Tx, before *models.MassSend, openids []models.Ident) (*models.MassSend, error) {
	customers, err := tx.CustomersByOpenID(tx.Account, openids)
	if err != nil {
		return nil, err
	}
	keys := make([]models.Key, len(customers))
	for i, c := range customers {
		keys[i] = c.Key
	}
	conversations, err := tx.LockConversations(keys)
	if err != nil {
		return nil, err
	}
	m, err := tx.LockMassSend(before.SendKey)
	if err != nil || m.Done != before.Done {
		return m, err
	}
	for _, conv := range conversations {
		conv.Contact = conv.Contact.MassSent(m.Month, 1, models.Policy{})
	}
	if err := tx.UpdateConversations(conversations); err != nil {
		return nil, err
	}
	m.Done += len(openids)
	m.Counted += len(conversations)
	return m, tx.UpdateMassSend(m)
}
