package services

import (
	"context"
	"errors"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Retained counts what one pass of Retain deleted.
type Retained struct {
	Events, Messages, Idempotency, Inbound, Revocations, Jobs, Imports, QRCodes, Tickets, DeadLetters, Secrets int
}

// IsZero reports whether nothing was deleted.
func (r Retained) IsZero() bool { return r == Retained{} }

// retention is the name of the sweep.
const retention = "retention"

// Retain deletes what is too old to be asked for again: events (rule N4), messages (rule G11), idempotency keys (rule
// E15), records that recognise a repeated callback (rule K1), revocations no token can meet any
// more, tickets that nobody used (rule V1), jobs that ended long ago, replaced secrets of webhooks that sign no more (rule A4), rows of nodes that are gone. It does nothing unless a pass is due, which is
// each limits.RetentionInterval for all nodes together; a pass of two nodes at once would be
// right as well. rest is called between any two transactions that delete; its error ends what is under way, and the pass when ctx
// has ended.
//
// Writers never wait for it, but at the counter row of a stream for the time that raising its
// floor takes.
func (s *Services) Retain(ctx context.Context, rest func(context.Context) error) (Retained, error) {
	began := s.Now()
	mine, err := s.store.LeaseSweep(ctx, retention, began.Add(limits.RetentionLease))
	if err != nil || !mine {
		return Retained{}, err
	}
	p := &pass{s: s, rest: rest, now: began}
	for _, step := range []func(context.Context) error{p.events, p.idempotency, p.inbound, p.messages, p.revocations, p.jobs, p.imports, p.codes, p.tickets, p.deadLetters, p.secrets, p.nodes} {
		// One that fails does not keep the others from their turn.
		err = errors.Join(err, step(ctx))
		if isOver(ctx, err) {
			return p.done, err
		}
	}
	if err == nil {
		_, err = s.store.KeepSweep(ctx, retention, began.Add(limits.RetentionInterval))
	}
	return p.done, err
}

// errLeaseLost ends a pass that another node has taken over.
var errLeaseLost = errors.New("another node deletes now")

// isOver reports whether what a step met ends the whole pass.
func isOver(ctx context.Context, err error) bool {
	return errors.Is(err, errLeaseLost) || ctx.Err() != nil
}

// pass is one run of Retain.
type pass struct {
	s    *Services
	rest func(context.Context) error
	now  models.Time
	done Retained
	kept models.Time // when the lease was last kept
}

// pause keeps the lease and lets others work.
func (p *pass) pause(ctx context.Context) error {
	if now := p.s.Now(); now.Sub(p.kept) > limits.RetentionLease/4 {
		mine, err := p.s.store.KeepSweep(ctx, retention, now.Add(limits.RetentionLease))
		if err != nil {
			return err
		}
		if !mine {
			return errLeaseLost
		}
		p.kept = now
	}
	return p.rest(ctx)
}

// events walks the accounts and their streams in the order of their keys.
func (p *pass) events(ctx context.Context) error {
	return p.accounts(ctx, func(a *models.Account) error { return p.eventsOf(ctx, a) })
}

// accounts calls do for each account, in the order of their keys. One for which it fails does not keep the others from their turn.
func (p *pass) accounts(ctx context.Context, do func(*models.Account) error) error {
	var after models.Key
	var failed []error
	for {
		accounts, err := p.s.store.View(ctx).Accounts(after, limits.BatchRows)
		if failed = append(failed, err); err != nil {
			return errors.Join(failed...)
		}
		for _, a := range accounts {
			err := do(a)
			if failed = append(failed, err); isOver(ctx, err) {
				return errors.Join(failed...)
			}
			after = a.Key
		}
		if len(accounts) < limits.BatchRows {
			return errors.Join(failed...)
		}
	}
}

func (p *pass) eventsOf(ctx context.Context, a *models.Account) error {
	account := a.Key
	// Another node's clock may have dated the events.
	before := p.now.Add(-a.EventRetention() - limits.ClockSkew)
	var after models.Key
	for {
		page, err := p.s.store.View(ctx).StreamBeginnings(account, after, limits.StreamsPerRead)
		if err != nil {
			return err
		}
		var old []*store.OldStream
		for i := range page {
			if b := &page[i]; b.First > 0 && (b.At < before || b.First <= b.Floor) {
				old = append(old, b)
			}
		}
		for len(old) > 0 {
			n := min(len(old), limits.BatchRows)
			rest, err := p.beginnings(ctx, account, before, old[:n])
			if err != nil {
				return err
			}
			old = append(rest, old[n:]...)
		}
		if len(page) < limits.StreamsPerRead {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// beginnings deletes up to limits.RetentionRows of the oldest events of streams, and answers the
// streams that may have more. First the floors are raised, in a commit of their own: a reader who
// then misses events finds the floor above them, and who finds the floor below them finds them all.
func (p *pass) beginnings(ctx context.Context, account models.Key, before models.Time, old []*store.OldStream) (more []*store.OldStream, err error) {
	share := limits.RetentionRows / len(old)
	ranges := make([]models.StreamRange, len(old))
	for i, b := range old {
		ranges[i] = models.StreamRange{ID: models.StreamID{Account: account, Stream: b.Key}, After: b.First - 1, UpTo: min(b.First-1+int64(share), b.Head)}
	}
	rows, err := p.s.store.Log().Read(ctx, ranges, share)
	if err != nil {
		return nil, err
	}
	young := map[models.Key]int64{}
	for i := range rows {
		if e := &rows[i]; e.At >= before && young[e.Stream] == 0 {
			young[e.Stream] = e.Seq // rows come in the order of their numbers
		}
	}
	floors := map[models.Key]int64{}
	gone := ranges[:0]
	for i, r := range ranges {
		b := old[i]
		if first := young[b.Key]; first > 0 {
			// What is below the floor goes whatever its age.
			r.UpTo = min(r.UpTo, max(first-1, b.Floor))
		}
		if r.UpTo <= r.After {
			continue
		}
		gone = append(gone, r)
		p.done.Events += int(r.UpTo - r.After)
		if r.UpTo > b.Floor {
			floors[b.Key], b.Floor = r.UpTo, r.UpTo
		}
		if r.UpTo == r.After+int64(share) && r.UpTo < b.Head {
			b.First = r.UpTo + 1
			more = append(more, b)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if len(floors) > 0 {
		if err := p.write(ctx, account, func(tx *store.Tx) error { return tx.RaiseFloors(floors) }); err != nil {
			return nil, err
		}
	}
	if err := p.write(ctx, account, func(tx *store.Tx) error { return tx.DeleteEvents(gone) }); err != nil {
		return nil, err
	}
	return more, p.pause(ctx)
}

func (p *pass) write(ctx context.Context, account models.Key, fn func(*store.Tx) error) error {
	return p.s.store.Write(ctx, store.System(), account, fn)
}

func (p *pass) idempotency(ctx context.Context) error {
	before := p.now.Add(-limits.IdempotencyLife - limits.ClockSkew)
	return aged(ctx, p, &p.done.Idempotency, func(r *store.Reader) ([]*models.Idempotency, error) {
		return r.OldIdempotency(before, limits.RetentionRows)
	}, func(row *models.Idempotency) models.Key { return row.AccountID }, (*store.Tx).DeleteIdempotency)
}

func (p *pass) inbound(ctx context.Context) error {
	for _, kind := range models.InboundKinds() {
		life := limits.InboundLife
		if kind == models.InboundPayment {
			life += limits.PaymentAge // a payment that old is still accepted, and must be known again
		}
		before := p.now.Add(-life - limits.ClockSkew)
		err := aged(ctx, p, &p.done.Inbound, func(r *store.Reader) ([]*models.InboundRecord, error) {
			return r.OldInbound(kind, before, limits.RetentionRows)
		}, func(row *models.InboundRecord) models.Key { return row.AccountID }, (*store.Tx).DeleteInbound)
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) revocations(ctx context.Context) error {
	before := p.now.Add(-limits.ClockSkew)
	return aged(ctx, p, &p.done.Revocations, func(r *store.Reader) ([]*models.Revocation, error) {
		return r.LapsedRevocations(before, limits.RetentionRows)
	}, func(row *models.Revocation) models.Key { return row.AccountID }, func(tx *store.Tx, rows []*models.Revocation) error {
		return tx.DeleteRevocations(rows, before)
	})
}

// codes deletes temporary codes that expired long ago (rule C3). Scans and bindings keep their labels.
func (p *pass) codes(ctx context.Context) error {
	before := p.now.Add(-limits.CodeKept - limits.ClockSkew)
	return aged(ctx, p, &p.done.QRCodes, func(r *store.Reader) ([]*models.QRCode, error) {
		return r.OldQRCodes(before, limits.RetentionRows)
	}, func(row *models.QRCode) models.Key { return row.AccountID }, (*store.Tx).DeleteQRCodes)
}

// deadLetters deletes what receivers of webhooks did not take, and nobody replayed (rule N6).
func (p *pass) deadLetters(ctx context.Context) error {
	before := p.now.Add(-limits.DeadLetterLife - limits.ClockSkew)
	return aged(ctx, p, &p.done.DeadLetters, func(r *store.Reader) ([]*models.DeadLetter, error) {
		return r.OldDeadLetters(before, limits.RetentionRows)
	}, func(row *models.DeadLetter) models.Key { return row.AccountID }, (*store.Tx).DeleteDeadLetters)
}

// secrets drops the replaced secrets of webhooks whose time is over, also of those that are sent nothing (rule A4). No clock is allowed
// for: from the same instant on this node signs with them no more.
func (p *pass) secrets(ctx context.Context) error {
	until := p.now.Add(-limits.WebhookSecretOverlap)
	return aged(ctx, p, &p.done.Secrets, func(r *store.Reader) ([]*models.Webhook, error) {
		return r.OldWebhookSecrets(until, limits.RetentionRows)
	}, func(w *models.Webhook) models.Key { return w.AccountID }, func(tx *store.Tx, rows []*models.Webhook) error {
		return tx.DropWebhookSecrets(rows, until)
	})
}

// jobs deletes jobs that ended long ago: the items of each first, then the job with its stream.
func (p *pass) jobs(ctx context.Context) error {
	before := p.now.Add(-limits.JobLife - limits.ClockSkew)
	for {
		old, err := p.s.store.View(ctx).OldJobs(before, limits.BatchRows)
		if err != nil {
			return err
		}
		for _, j := range old {
			if err := p.job(ctx, j); err != nil {
				return err
			}
		}
		if len(old) < limits.BatchRows {
			return nil
		}
	}
}

func (p *pass) job(ctx context.Context, j *models.Job) error {
	for {
		items, err := p.s.store.View(ctx).JobItemPage(j.AccountID, j.Key, relay.Page{First: limits.RetentionRows - 1})
		if err != nil {
			return err
		}
		if len(items) == 0 {
			break
		}
		upTo := items[len(items)-1].No
		if err := p.write(ctx, j.AccountID, func(tx *store.Tx) error { return tx.DeleteJobItems(j.Key, upTo) }); err != nil {
			return err
		}
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
	if err := p.write(ctx, j.AccountID, func(tx *store.Tx) error { return tx.DeleteJob(j.Key) }); err != nil {
		return err
	}
	p.done.Jobs++
	return p.pause(ctx)
}

func (p *pass) nodes(ctx context.Context) error {
	return p.s.store.DeleteNodes(ctx, p.now.Add(-limits.NodeLife))
}

// aged deletes the rows that read answers, again and again until it answers less than a full
// batch: one transaction an account and batch.
func aged[T any](ctx context.Context, p *pass, deleted *int, read func(*store.Reader) ([]*T, error),
	of func(*T) models.Key, remove func(*store.Tx, []*T) error,
) error {
	for {
		rows, err := read(p.s.store.View(ctx))
		if err != nil {
			return err
		}
		byAccount := map[models.Key][]*T{}
		for _, row := range rows {
			byAccount[of(row)] = append(byAccount[of(row)], row)
		}
		for account, some := range byAccount {
			if err := p.write(ctx, account, func(tx *store.Tx) error { return remove(tx, some) }); err != nil {
				return err
			}
			*deleted += len(some)
			if err := p.pause(ctx); err != nil {
				return err
			}
		}
		if len(rows) < limits.RetentionRows {
			return nil
		}
	}
}
