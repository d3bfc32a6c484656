package services

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// half is when half of the lease is over: a call that is begun later might not be recorded within it.
func (t *webhookTurn) half() models.Time { return t.w.DueAt.Add(-limits.WebhookLease / 2) }

// send sends a batch in order, until one fails, the webhook is changed, or it is time to record, and records. A replay that the receiver
// answered holds no other up.
func (t *webhookTurn) send(ctx context.Context, b *batch) (err error) {
	half := t.half()
	until := min(t.s.Now().Add(limits.WebhookBatchTime), half)
	done := &batch{upTo: b.upTo}
	var about subjects
	var read models.Time
	var failed []WebhookCall
	for i, p := range b.parcels {
		now := t.s.Now()
		if now >= half || i > 0 && (now >= until || t.slowed || ctx.Err() != nil) {
			done.upTo = p.before(t.w.Position)
			break
		}
		var call WebhookCall
		if p.event != nil && (read.IsZero() || now.Sub(read) >= limits.PrimedFor) {
			var changed bool
			if i > 0 {
				changed, err = t.isChanged(ctx)
			}
			if changed {
				done.upTo = p.before(t.w.Position)
				break
			}
			if err == nil {
				if about, err = t.subjectsOf(ctx, b.parcels[i:]); err == nil {
					read = now
				}
			}
		}
		if err == nil {
			call, err = t.call(ctx, p, &about)
		}
		if err != nil {
			if i == 0 {
				return err
			}
			// What was sent is recorded; the next batch meets it again.
			done.upTo = p.before(t.w.Position)
			break
		}
		call.began, call.took = now, t.s.Now().Sub(now)
		t.slowed = t.slowed || t.quick && call.isSlow()
		done.parcels, done.calls = append(done.parcels, p), append(done.calls, call)
		if call.Failure == "" {
			t.told(call)
			continue
		}
		failed = append(failed, call)
		if p.letter == nil || t.endsReplays(&call) {
			done.upTo = p.before(t.w.Position)
			break
		}
	}
	var dead bool
	err = t.record(ctx, func(tx *store.Tx, w *models.Webhook) (err error) {
		if dead, err = t.outcome(tx, w, done); err != nil || w.LeasedBy.IsZero() {
			return err
		}
		return t.releaseIfDone(ctx, tx, w)
	})
	for i, call := range failed {
		call.Webhook, call.IsDead = t.w, dead && i == len(failed)-1
		t.told(call)
	}
	return err
}

// isChanged reports whether somebody changed address, state or secrets since the webhook was locked, or deleted it.
func (t *webhookTurn) isChanged(ctx context.Context) (bool, error) {
	rows, err := t.s.store.View(ctx).WebhooksByKeys(t.w.AccountID, []models.Key{t.w.Key})
	return err == nil && (len(rows) == 0 || rows[0].Revision != t.w.Revision), err
}

// endsReplays reports whether a replay in vain says that others need not be tried now: nobody answered, or the answer is to wait or to stop.
func (t *webhookTurn) endsReplays(call *WebhookCall) bool {
	const gone = 410
	return call.Failure != models.WebhookStatus || call.Status == gone || models.RetryAfter(call.after, t.s.Now()) > 0
}

// before is how far a webhook has come when a parcel is the next.
func (p *parcel) before(position int64) int64 {
	if p.event == nil || p.letter != nil {
		return position
	}
	return p.event.Seq - 1
}

// subjectsOf reads what events are about, as it is now.
func (t *webhookTurn) subjectsOf(ctx context.Context, parcels []*parcel) (about subjects, err error) {
	var told []*models.Event
	for _, p := range parcels {
		if p.event != nil {
			told = append(told, p.event)
		}
	}
	about.add(told)
	return about, t.s.readSubjects(ctx, t.w.AccountID, &about)
}

// call posts a parcel.
func (t *webhookTurn) call(ctx context.Context, p *parcel, about *subjects) (WebhookCall, error) {
	made := WebhookCall{Webhook: t.w}
	var subject *models.Primed
	if p.event != nil {
		subject = about.of(p.event)
	}
	body, err := p.body(t.w, subject)
	if err != nil {
		return made, err
	}
	sealed := [][]byte{t.w.SealedSecret}
	if t.w.SignsWithOld(t.s.Now()) {
		sealed = append(sealed, t.w.SealedOld)
	}
	open, err := t.s.unseal(t.w.AccountID, sealWebhookSecret(t.w.Key), sealed)
	if err != nil {
		return made, err
	}
	secrets := make([][]byte, len(open))
	for i, secret := range open {
		secrets[i] = []byte(secret)
	}
	seconds := t.s.Now().Go().Unix()
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Clientele-Webhooks/1")
	header.Set("Webhook-Id", p.id)
	header.Set("Webhook-Timestamp", strconv.FormatInt(seconds, 10))
	header.Set("Webhook-Signature", models.SignWebhook(secrets, p.id, seconds, body))
	// A stop of the process does not tear the call: it would be made again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.WebhookTime)
	defer cancel()
	t.sent++
	status, after, err := t.s.hooks.Post(ctx, t.w.URL, header, body)
	made.Failure, made.Status, made.after = webhookFailure(status, err), status, after
	return made, nil
}

// webhookFailure is why a call failed; empty: it did not.
func webhookFailure(status int, err error) models.WebhookFailure {
	var forbidden interface{ Forbidden() bool }
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var slow net.Error
	switch {
	case err == nil && status >= 200 && status < 300:
		return ""
	case err == nil:
		return models.WebhookStatus
	case errors.As(err, &forbidden) && forbidden.Forbidden():
		return models.WebhookAddress
	case errors.As(err, &certificate):
		return models.WebhookCertificate
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return models.WebhookTimeout
	case errors.As(err, &name):
		// As one that leads inside, or it would tell who knows which names this network's servers have.
		return models.WebhookAddress
	}
	return models.WebhookConnection
}

// outcome writes what became of a batch: of what is no replay the last may have failed; then the webhook is given back. dead: it was the
// last attempt at an event. What was sent while somebody changed address, state or secrets counts for nothing, and is sent again: nobody
// knows which side of the change it fell on.
func (t *webhookTurn) outcome(tx *store.Tx, w *models.Webhook, done *batch) (dead bool, err error) {
	if w.Revision != t.w.Revision {
		return false, t.release(tx, w)
	}
	if done.upTo > w.Position { // whatever kinds were asked for meanwhile: of events that follow
		w.Position = done.upTo
		w.Dealt()
	}
	slowly := slices.ContainsFunc(done.calls, func(c WebhookCall) bool { return c.isSlow() })
	w.Trying = w.Trying || slowly // whatever was slow: a test and a replay in vain too
	var gone []*models.DeadLetter
	replayed := false
	for i, p := range done.parcels {
		call := &done.calls[i]
		replayed = replayed || p.letter != nil
		switch {
		case p.letter != nil && call.Failure != "":
			if err := t.rest(tx, w, p.letter, call); err != nil {
				return false, err
			}
			continue
		case call.Failure != "":
			return t.failed(tx, w, p, call)
		}
		w.Succeeded(tx.Now, slowly)
		switch {
		case p.test:
			w.TestID, w.TestedAt = models.Key{}, tx.Now
		case p.letter != nil:
			gone = append(gone, p.letter)
		case p.event == nil:
			w.Notice, w.NoticeID = "", models.Key{}
			w.Dealt()
		}
	}
	if len(gone) > 0 {
		if err := tx.DeleteDeadLetters(gone); err != nil {
			return false, err
		}
	}
	if replayed {
		return false, leftToReplay(tx, w)
	}
	return false, nil
}

// rest writes that the receiver did not take a replay, which says nothing of what is sent live, but for 410.
func (t *webhookTurn) rest(tx *store.Tx, w *models.Webhook, letter *models.DeadLetter, call *WebhookCall) error {
	d := *letter
	d.Attempts++
	d.Failure, d.FailedStatus, d.FailedAt = call.Failure, call.Status, tx.Now
	w.Went(call.Failure, call.Status)
	if t.endsReplays(call) {
		w.ReplaysAt = tx.Now.Add(max(limits.WebhookReplayPause, models.RetryAfter(call.after, tx.Now)))
	}
	return tx.RestDeadLetter(&d)
}

// failed writes that the receiver did not take a parcel that is no replay.
func (t *webhookTurn) failed(tx *store.Tx, w *models.Webhook, p *parcel, call *WebhookCall) (dead bool, err error) {
	if p.test {
		// It says nothing of what waits, unless the receiver wants no more.
		w.Went(call.Failure, call.Status)
		w.TestID, w.TestedAt, w.TestFailure, w.TestStatus = models.Key{}, tx.Now, call.Failure, call.Status
		return false, t.release(tx, w)
	}
	whole := models.WebhookBackoff(w.Failures + 1)
	pause := max(whole/2+rand.N(whole/2+1), models.RetryAfter(call.after, tx.Now)) //nolint:gosec // chance, not secrecy.
	w.Failed(tx.Now, call.Failure, call.Status, tx.Now.Add(pause))
	switch {
	case w.State == models.WebhookGone:
	case w.Tried(call.began, tx.Now):
		if dead = p.event != nil; dead {
			id, err := tx.NextDeadLetter(w.Key)
			if err != nil {
				return false, err
			}
			err = tx.InsertDeadLetter(&models.DeadLetter{
				AccountID: w.AccountID, WebhookID: w.Key, Key: id, Cause: models.DeadLetterFailed, Kind: p.event.Kind, Epoch: w.Epoch,
				FirstSeq: p.event.Seq, LastSeq: p.event.Seq, At: p.event.At, Customer: p.event.Customer, Subject: p.event.Subject, TriedAt: w.TriedAt, Attempts: w.Attempts,
				Failure: call.Failure, FailedStatus: call.Status, FailedAt: tx.Now, CreatedAt: tx.Now,
			}, limits.DeadLetters)
			if err != nil {
				return false, err
			}
			w.Position = p.event.Seq
		} else {
			w.Notice, w.NoticeID = "", models.Key{} // a dead letter tells it
		}
		w.Dealt()
	}
	return dead, t.release(tx, w)
}
