package services

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"clientele/events"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// sealWebhookSecret is the field under which a webhook's secrets are sealed (rule A4).
func sealWebhookSecret(webhook models.Key) string { return "webhook/" + webhook.String() + "/secret" }

// WebhookChange is what is said of a webhook; nil fields stay as they are, or, of a new one, as they are at first.
type WebhookChange struct {
	URL  *string
	Name *string
	// NoName takes the name away.
	NoName bool
	// Kinds replaces all of them; empty: all kinds.
	Kinds *[]models.AccountEventKind
	// Paused: true pauses, false has it go on, also one whose receiver answered 410.
	Paused *bool
}

// check reports what is wrong with it, by field.
func (in *WebhookChange) check(private bool) error {
	if in.URL != nil {
		if err := models.CheckWebhookURL(*in.URL, "input.url", private); err != nil {
			return err
		}
	}
	if in.Name != nil {
		name, err := models.CheckName(*in.Name, "input.name", limits.WebhookNameRunes)
		if err != nil {
			return err
		}
		in.Name = &name
	}
	return nil
}

// write writes it to a webhook, of an account whose stream has this head.
func (in *WebhookChange) write(w *models.Webhook, head int64, now models.Time) {
	switch {
	case in.NoName:
		w.Name = ""
	case in.Name != nil:
		w.Name = *in.Name
	}
	if in.Kinds != nil {
		kinds := slices.Clone(*in.Kinds)
		slices.Sort(kinds)
		w.Ask(slices.Compact(kinds), head)
	}
	if in.URL != nil && *in.URL != w.URL {
		w.URL, w.Trying = *in.URL, true
		w.Revision++
		w.Forgive(now)
	}
	switch {
	case in.Paused == nil:
	case *in.Paused && w.State != models.WebhookPaused:
		w.State = models.WebhookPaused
		w.Revision++
	case !*in.Paused && w.State != models.WebhookActive:
		w.State = models.WebhookActive
		w.Revision++
		w.Forgive(now)
	}
	w.UpdatedAt = now
}

// told is what the audit log tells of a webhook: never its secret.
func toldWebhook(w *models.Webhook) map[string]any {
	return map[string]any{"name": w.Name, "url": w.URL, "kinds": w.EventKinds(), "state": w.State}
}

// Webhooks reads the account's webhooks, the earliest first (rule N7).
func (s *Services) Webhooks(ctx context.Context) ([]*models.Webhook, error) {
	c, err := s.begin(ctx, mayWebhooks)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	catchUp, err := catchUps(r, c.Account.Key)
	if err != nil {
		return nil, err
	}
	rows, err := r.Webhooks(c.Account.Key)
	if err != nil {
		return nil, err
	}
	catchUp(rows)
	return append([]*models.Webhook{}, rows...), countDeadLetters(r, c.Account.Key, rows)
}

// catchUps reads how far the account's stream is, before webhooks are read, and answers what has the idle ones among them be shown there.
func catchUps(r *store.Reader, account models.Key) (func([]*models.Webhook), error) {
	epoch, head, err := accountHead(r, account)
	return func(rows []*models.Webhook) {
		for _, w := range rows {
			w.CatchUp(epoch[:], head.Head)
		}
	}, err
}

// accountHead reads the epoch of the log and how far the account's stream is.
func accountHead(r *store.Reader, account models.Key) (epoch events.Epoch, head models.StreamHead, err error) {
	if epoch, err = r.Epoch(); err != nil {
		return epoch, head, err
	}
	head, err = r.StreamHead(models.StreamID{Account: account, Stream: account})
	return epoch, head, err
}

// countDeadLetters says of each webhook how many it has, with one statement.
func countDeadLetters(r *store.Reader, account models.Key, rows []*models.Webhook) error {
	keys := make([]models.Key, len(rows))
	for i, w := range rows {
		keys[i] = w.Key
	}
	counts, err := r.CountDeadLetters(account, keys)
	for _, w := range rows {
		w.DeadLetters = counts[w.Key]
	}
	return err
}

// webhookNodes finds webhooks by key, for who may read them.
func (s *Services) webhookNodes(ctx context.Context, c *Scope, keys []models.Key, found map[relay.ID]models.Node) error {
	if !c.isStaff() {
		return nil
	}
	r := s.store.View(ctx)
	catchUp, err := catchUps(r, c.Account.Key)
	if err != nil {
		return err
	}
	rows, err := r.WebhooksByKeys(c.Account.Key, keys)
	if err != nil {
		return err
	}
	catchUp(rows)
	for _, w := range rows {
		found[w.ID()] = w
	}
	return countDeadLetters(r, c.Account.Key, rows)
}

// WebhookCursor is the cursor behind what a webhook has dealt with: what `after` takes (rule N4).
func (s *Services) WebhookCursor(w *models.Webhook) string {
	return cursorAt(epochOf(w.Epoch), models.StreamID{Account: w.AccountID, Stream: w.AccountID}, w.Position)
}

func epochOf(b []byte) (e events.Epoch) {
	copy(e[:], b)
	return e
}

// CreateWebhook makes a webhook, which is sent what happens from now on, and answers its secret, which is never told again (rules N7,
// A4). INVALID for an address that is not called; LIMIT_EXCEEDED.
func (s *Services) CreateWebhook(ctx context.Context, in WebhookChange) (w *models.Webhook, secret string, err error) {
	c, err := s.begin(ctx, mayCreateWebhook)
	if err != nil {
		return nil, "", err
	}
	if err := in.check(s.webhookPrivate); err != nil {
		return nil, "", err
	}
	plain := newWebhookSecret()
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		there, err := tx.Webhooks(tx.Account)
		if err != nil {
			return err
		}
		if len(there) >= limits.WebhooksPerAccount {
			return models.TooMany("", limits.WebhooksPerAccount, "the account has %d webhooks", limits.WebhooksPerAccount)
		}
		stream, err := tx.LockAccountStream()
		if err != nil {
			return err
		}
		epoch, err := tx.Epoch()
		if err != nil {
			return err
		}
		w = &models.Webhook{
			AccountID: tx.Account, Key: models.NewKey(), State: models.WebhookActive, Position: stream.Head, Epoch: epoch[:], DueAt: tx.Now, CreatedAt: tx.Now,
		}
		in.write(w, stream.Head, tx.Now)
		w.SealedSecret = s.ring.Seal(tx.Account, sealWebhookSecret(w.Key), plain)
		if err := tx.InsertWebhook(w); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: mayCreateWebhook.Field, TargetKind: "Webhook", Target: w.Key, After: toldWebhook(w)})
	})
	if err != nil {
		return nil, "", err
	}
	s.wakeWebhooks()
	return w, models.ShownSecret(plain), nil
}

func newWebhookSecret() []byte {
	secret := make([]byte, limits.WebhookSecretBytes)
	_, _ = rand.Read(secret) // it never fails.
	return secret
}

// UpdateWebhook changes a webhook: NOT_FOUND, INVALID. Another address, or going on, has the receiver be tried at once. What is being
// sent at that moment still goes to where it went.
func (s *Services) UpdateWebhook(ctx context.Context, key models.Key, in WebhookChange) (*models.Webhook, error) {
	if _, err := s.begin(ctx, mayUpdateWebhook); err != nil {
		return nil, err
	}
	if err := in.check(s.webhookPrivate); err != nil {
		return nil, err
	}
	return s.changeWebhook(ctx, mayUpdateWebhook, key, func(tx *store.Tx, w *models.Webhook) (store.Change, error) {
		before := toldWebhook(w)
		_, head, err := accountHead(&tx.Reader, tx.Account)
		if err != nil {
			return store.Change{}, err
		}
		in.write(w, head.Head, tx.Now)
		return store.Change{Before: before, After: toldWebhook(w)}, tx.PutWebhook(w)
	})
}

// DeleteWebhook deletes a webhook with its dead letters: NOT_FOUND.
func (s *Services) DeleteWebhook(ctx context.Context, key models.Key) error {
	_, err := s.changeWebhook(ctx, mayDeleteWebhook, key, func(tx *store.Tx, w *models.Webhook) (store.Change, error) {
		return store.Change{Before: toldWebhook(w)}, tx.DeleteWebhook(key)
	})
	return err
}

// RotateWebhookSecret gives a webhook another secret, which is answered and never told again; the one before signs beside it for
// limits.WebhookSecretOverlap, the one before that no more (rule A4). NOT_FOUND.
func (s *Services) RotateWebhookSecret(ctx context.Context, key models.Key) (w *models.Webhook, secret string, err error) {
	plain := newWebhookSecret()
	w, err = s.changeWebhook(ctx, mayRotateWebhookSecret, key, func(tx *store.Tx, w *models.Webhook) (store.Change, error) {
		w.SealedOld, w.RotatedAt = w.SealedSecret, tx.Now
		if _, err := s.unseal(tx.Account, sealWebhookSecret(w.Key), [][]byte{w.SealedOld}); err != nil {
			w.SealedOld, w.RotatedAt = nil, 0 // no master key opens it any more: nothing can be signed with it
		}
		w.Revision++
		w.SealedSecret = s.ring.Seal(tx.Account, sealWebhookSecret(w.Key), plain)
		w.UpdatedAt = tx.Now
		return store.Change{After: map[string]any{"isNew": true}}, tx.PutWebhook(w)
	})
	return w, models.ShownSecret(plain), err
}

// TestWebhook has a webhook be sent a test, now, whatever its state; one that waits already stays the one. NOT_FOUND; RATE_LIMITED sooner
// than limits.WebhookTestPause after the last.
func (s *Services) TestWebhook(ctx context.Context, key models.Key) (*models.Webhook, error) {
	w, err := s.changeWebhook(ctx, mayTestWebhook, key, func(tx *store.Tx, w *models.Webhook) (store.Change, error) {
		if next := w.TestAt.Add(limits.WebhookTestPause); !w.TestAt.IsZero() && w.TestID.IsZero() && tx.Now < next {
			return store.Change{}, &models.Error{Code: models.CodeRateLimited, RetryAt: next, Message: "it was tested a moment ago"}
		}
		if w.TestID.IsZero() {
			w.TestID, w.TestAt, w.TestedAt, w.TestFailure, w.TestStatus = models.NewKey(), tx.Now, 0, "", 0
		}
		w.Wake(tx.Now)
		return store.Change{}, tx.PutWebhook(w)
	})
	return w, err
}

// DeadLetterPage reads a page of what a webhook's receiver did not take, newest first (rule N6). NOT_FOUND.
func (s *Services) DeadLetterPage(ctx context.Context, key models.Key, p relay.Page) ([]*models.DeadLetter, error) {
	c, err := s.begin(ctx, mayDeadLetters)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	if rows, err := r.WebhooksByKeys(c.Account.Key, []models.Key{key}); err != nil {
		return nil, err
	} else if len(rows) == 0 {
		return nil, models.NotFound("webhook", "webhookId")
	}
	return r.DeadLetterPage(c.Account.Key, key, p)
}

// ReplayDeadLetters has dead letters of a webhook be sent once more, these or, for nil, all that are events, and answers how many. They
// follow what is new. NOT_FOUND for an unknown webhook or dead letter; STATE for one that is no event.
func (s *Services) ReplayDeadLetters(ctx context.Context, key models.Key, letters []models.Key) (w *models.Webhook, n int, err error) {
	if len(letters) > limits.DeadLettersReplayed {
		return nil, 0, models.TooMany("input.deadLetterIds", limits.DeadLettersReplayed, "at most %d dead letters a call", limits.DeadLettersReplayed)
	}
	w, err = s.changeWebhook(ctx, mayReplayDeadLetters, key, func(tx *store.Tx, w *models.Webhook) (store.Change, error) {
		if letters != nil {
			if err := replayable(tx, key, letters); err != nil {
				return store.Change{}, err
			}
		}
		n = 0
		if letters == nil || len(letters) > 0 {
			asked, err := tx.ReplayDeadLetters(key, letters)
			if err != nil {
				return store.Change{}, err
			}
			n = asked
		}
		w.Replaying = w.Replaying || n > 0
		w.Wake(tx.Now)
		return store.Change{After: map[string]any{"count": n}}, tx.PutWebhook(w)
	})
	return w, n, err
}

func replayable(tx *store.Tx, webhook models.Key, letters []models.Key) error {
	keys := slices.Clone(letters)
	slices.SortFunc(keys, func(a, b models.Key) int { return slices.Compare(a[:], b[:]) })
	keys = slices.Compact(keys)
	rows, err := tx.DeadLetters(tx.Account, webhook, keys)
	switch {
	case err != nil:
		return err
	case len(rows) < len(keys):
		return models.NotFound("dead letter", "input.deadLetterIds")
	case slices.ContainsFunc(rows, func(d *models.DeadLetter) bool { return d.Cause != models.DeadLetterFailed }):
		return &models.Error{Code: models.CodeState, Field: "input.deadLetterIds", Message: "it tells of events that are not kept"}
	}
	return nil
}

// changeWebhook runs a change of a webhook under its lock, audits what it answers, and has it be looked at.
func (s *Services) changeWebhook(ctx context.Context, p Permission, key models.Key, change func(*store.Tx, *models.Webhook) (store.Change, error)) (w *models.Webhook, err error) {
	c, err := s.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) (err error) {
		w, err = tx.LockWebhook(key)
		if errors.Is(err, store.ErrNotFound) {
			return models.NotFound("webhook", "input.webhookId")
		}
		if err != nil {
			return err
		}
		if w.IsIdle() { // what was passed over stays so, whatever changes
			epoch, head, err := accountHead(&tx.Reader, tx.Account)
			if err != nil {
				return err
			}
			w.CatchUp(epoch[:], head.Head)
		}
		entry, err := change(tx, w)
		if err != nil {
			return err
		}
		if err := countDeadLetters(&tx.Reader, tx.Account, []*models.Webhook{w}); err != nil {
			return err
		}
		entry.Action, entry.TargetKind, entry.Target = p.Field, "Webhook", key
		return tx.Audit(entry)
	})
	if err != nil {
		return nil, err
	}
	s.wakeWebhooks()
	return w, nil
}

// rekeyWebhooks seals the secrets of the account's webhooks anew that are not sealed with the current key (see Rekey).
func (s *Services) rekeyWebhooks(tx *store.Tx) (values, kept int, closed bool, err error) {
	rows, err := tx.LockWebhooks()
	if err != nil {
		return 0, 0, false, err
	}
	var anew []*models.Webhook
	for _, w := range rows {
		was := values
		expired := w.DropOld(tx.Now)
		for _, sealed := range []*[]byte{&w.SealedSecret, &w.SealedOld} {
			switch {
			case len(*sealed) == 0:
				continue
			case s.ring.IsCurrent(*sealed):
				kept++
				continue
			}
			plain, err := s.ring.Open(tx.Account, sealWebhookSecret(w.Key), *sealed)
			if err != nil {
				closed = true
				continue
			}
			*sealed = s.ring.Seal(tx.Account, sealWebhookSecret(w.Key), plain)
			values++
		}
		if expired || values > was {
			anew = append(anew, w)
		}
	}
	return values, kept, closed, tx.PutWebhooks(anew)
}
