package services

import (
	"context"
	"errors"
	"net/http"
	"time"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// WebhookCaller calls receivers of webhooks. Implementations are safe for concurrent use, follow no redirect, call no address that is
// not allowed, and keep nothing of what is answered.
type WebhookCaller interface {
	// Post posts a body to an address and answers the status and what the header Retry-After says. An error that has
	// a method Forbidden says that the name leads to an address that is not called.
	Post(ctx context.Context, url string, header http.Header, body []byte) (status int, retryAfter string, err error)
}

// WebhookCall is one call of a receiver.
type WebhookCall struct {
	Webhook *models.Webhook
	// Failure is why it failed; empty: it succeeded. Status is what was answered; 0: nothing was.
	Failure models.WebhookFailure
	Status  int
	// IsDead says that it was the last of an event, which is a dead letter now.
	IsDead bool
	// after is what the answer's header Retry-After says.
	after string
	began models.Time
	took  time.Duration
}

// isSlow reports whether others have to be protected from such a receiver, be the answer good or not.
func (c *WebhookCall) isSlow() bool { return c.took >= limits.WebhookSlow }

// WebhooksQueued tells the workers that a webhook may have something to send: at most one signal waits.
func (s *Services) WebhooksQueued() <-chan struct{} { return s.hookQueued }

func (s *Services) wakeWebhooks() {
	select {
	case s.hookQueued <- struct{}{}:
	default:
	}
}

// WebhookDemand says how many webhooks a node can take.
type WebhookDemand struct {
	// Most is how many in all, Trying how many of them may be such whose receivers failed last, were slow, or have not answered yet.
	Most, Trying int
	// Busy is how many of each account it has in hand.
	Busy map[models.Key]int
}

// ClaimWebhooks takes webhooks that are due, those that have waited longest first, at most
// limits.WebhookWorkersPerAccount of an account. Each must go to WorkWebhook.
func (s *Services) ClaimWebhooks(ctx context.Context, d WebhookDemand) ([]*models.Webhook, error) {
	if s.hooks == nil || d.Most <= 0 {
		return nil, nil
	}
	has := map[models.Key]int{}
	var full []models.Key
	for account, n := range d.Busy {
		if has[account] = n; n >= limits.WebhookWorkersPerAccount {
			full = append(full, account)
		}
	}
	var claimed []*models.Webhook
	// Those that are tried come first: they have a part of the workers at most, and the others the rest.
	for _, trying := range []bool{true, false} {
		most := d.Most - len(claimed)
		if trying {
			most = min(most, d.Trying)
		}
		if most <= 0 {
			continue
		}
		// An account may have all of its own due and take one, so more are read than are taken.
		due, err := s.store.View(ctx).DueWebhooks(s.Now(), trying, full, most*limits.WebhooksPerAccount)
		if err != nil {
			return claimed, err
		}
		for _, w := range due {
			if most == 0 {
				break
			}
			if has[w.AccountID] >= limits.WebhookWorkersPerAccount {
				continue
			}
			mine, err := s.claimWebhook(ctx, w)
			if err != nil {
				return claimed, err
			}
			if mine != nil {
				claimed = append(claimed, mine)
				has[w.AccountID]++
				most--
			}
		}
	}
	return claimed, nil
}

// claimWebhook leases a webhook; nil when another has it, or it is gone.
func (s *Services) claimWebhook(ctx context.Context, due *models.Webhook) (mine *models.Webhook, err error) {
	err = s.store.Write(ctx, store.System(), due.AccountID, func(tx *store.Tx) error {
		mine = nil
		w, err := tx.LockWebhook(due.Key)
		if err != nil || w.DueAt > tx.Now {
			return ignoreNotFound(err)
		}
		w.LeasedBy, w.DueAt = models.NewKey(), tx.Now.Add(limits.WebhookLease)
		mine = w
		return tx.PutWebhook(w)
	})
	return mine, err
}

// webhookTurn is a lease of a webhook.
type webhookTurn struct {
	s *Services
	// w is the webhook as it was when it was last locked.
	w    *models.Webhook
	told func(WebhookCall)
	// sent is how many calls were made, over when the turn ends at the latest.
	sent int
	over models.Time
	// quick says that it has a worker of those that are for quick receivers; slowed that this one is none.
	quick, slowed bool
}

// isOver reports whether others have their turn, however much is left to do.
func (t *webhookTurn) isOver(ctx context.Context) bool {
	return t.sent >= limits.WebhookTurn || t.s.Now() >= t.over || t.slowed || ctx.Err() != nil
}

// WorkWebhook sends what a webhook has to send, in order, until there is no more, its receiver fails, or others have their turn, and gives
// it back, whatever happens. told is told of each call. The error is for the log: what is not recorded is sent again, with the same id.
// ErrWorkLost: another node has it by now.
func (s *Services) WorkWebhook(ctx context.Context, w *models.Webhook, told func(WebhookCall)) error {
	t := &webhookTurn{s: s, w: w, told: told, over: s.Now().Add(limits.WebhookTurnTime), quick: !w.Trying}
	err := t.work(ctx)
	if errors.Is(err, ErrWorkLost) || t.w.LeasedBy.IsZero() {
		return err
	}
	return errors.Join(err, t.record(ctx, func(tx *store.Tx, w *models.Webhook) error {
		switch {
		case errors.Is(err, errUnknownEvent):
			w.LeasedBy = models.Key{} // due when the lease would have ended: nodes that know it come first
			return nil
		case err != nil && ctx.Err() == nil:
			w.LeasedBy, w.DueAt = models.Key{}, tx.Now.Add(limits.WebhookErrorPause)
			return nil
		}
		return t.release(tx, w)
	}))
}

// work sends until there is no more, or the turn is over.
func (t *webhookTurn) work(ctx context.Context) error {
	for !t.isOver(ctx) && !t.w.LeasedBy.IsZero() {
		b, err := t.read(ctx)
		if errors.Is(err, errMissed) {
			continue
		}
		if err != nil {
			return err
		}
		if b.isEmpty() {
			return nil
		}
		if err := t.send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// release gives the webhook back: due behind those that have waited longer, when it has to be told something next, or never, which stands
// until the relay has an event for it. That waits for this transaction, or this one sees what it wrote.
func (t *webhookTurn) release(tx *store.Tx, w *models.Webhook) error {
	next, err := t.next(tx, w)
	w.LeasedBy, w.DueAt = models.Key{}, next
	return err
}

// next is when a locked webhook has to be told something next.
func (t *webhookTurn) next(tx *store.Tx, w *models.Webhook) (models.Time, error) {
	epoch, head, err := accountHead(&tx.Reader, w.AccountID)
	return w.Next(epoch[:], head.Head, tx.Now), err
}

// releaseIfDone gives a webhook back that has nothing to be told now, or whose turn is over.
func (t *webhookTurn) releaseIfDone(ctx context.Context, tx *store.Tx, w *models.Webhook) error {
	next, err := t.next(tx, w)
	if next > tx.Now || t.isOver(ctx) {
		w.LeasedBy, w.DueAt = models.Key{}, next
	}
	return err
}

// record changes the webhook by fn under its lock: ErrWorkLost when the lease is another's by now. While the lease goes on it begins anew.
func (t *webhookTurn) record(ctx context.Context, fn func(*store.Tx, *models.Webhook) error) error {
	ctx, cancel := recorded(ctx)
	defer cancel()
	var now *models.Webhook
	err := t.s.store.Write(ctx, store.System(), t.w.AccountID, func(tx *store.Tx) (err error) {
		now, err = tx.LockWebhook(t.w.Key)
		if errors.Is(err, store.ErrNotFound) || err == nil && now.LeasedBy != t.w.LeasedBy {
			return ErrWorkLost
		}
		if err != nil {
			return err
		}
		now.DueAt = tx.Now.Add(limits.WebhookLease)
		now.DropOld(tx.Now)
		if err := fn(tx, now); err != nil {
			return err
		}
		return tx.PutWebhook(now)
	})
	if err == nil {
		t.w = now
	}
	return err
}

// batch is what is sent before it is recorded.
type batch struct {
	parcels []*parcel
	// calls is what came of each parcel that was sent.
	calls []WebhookCall
	// upTo is how far the webhook has come when all were sent, events that it does not want included; 0: that does not change.
	upTo int64
}

func (b *batch) isEmpty() bool { return len(b.parcels) == 0 && b.upTo == 0 }

// errMissed: something was recorded that has to be told first.
var errMissed = errors.New("the webhook has to be told something first")

// read reads what is to be sent next: a test; what the receiver must be told first; events, past those that it does not ask for; at last what
// is replayed. What it answers is durable.
func (t *webhookTurn) read(ctx context.Context) (*batch, error) {
	w := t.w
	switch {
	case !w.TestID.IsZero():
		return &batch{parcels: []*parcel{testParcel(w)}}, nil
	case w.State != models.WebhookActive || w.RetryAt > t.s.Now():
		return &batch{}, nil
	}
	barrier := t.s.store.Durable()
	r, id := t.s.store.View(ctx), models.StreamID{Account: w.AccountID, Stream: w.AccountID}
	epoch, head, err := accountHead(r, w.AccountID)
	if err != nil {
		return nil, err
	}
	// Read behind the head: whoever asks for another kind later asks for what follows it.
	if rows, err := r.WebhooksByKeys(w.AccountID, []models.Key{w.Key}); err != nil {
		return nil, err
	} else if len(rows) > 0 {
		w.Kinds, w.KindsAfter = rows[0].Kinds, rows[0].KindsAfter
	}
	if epochOf(w.Epoch) != epoch || w.Position < head.Floor || w.Position > head.Head {
		if err := barrier(ctx); err != nil {
			return nil, err
		}
		return nil, t.missed(ctx, epoch, head)
	}
	if w.Notice != "" {
		return &batch{parcels: []*parcel{noticeParcel(w, cursorAt(epoch, id, w.Position))}}, nil
	}
	b := &batch{}
	for at, half := w.Position, t.half(); at < head.Head && len(b.parcels) == 0; {
		rows, err := r.Events([]models.StreamRange{{ID: id, After: at, UpTo: head.Head}}, limits.WebhookLook)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 || rows[0].Seq != at+1 { // deleted since the floor was read
			if b.isEmpty() {
				return nil, errMissed
			}
			break // how far it came is recorded first
		}
		for i := range rows {
			e := &rows[i]
			if len(b.parcels) == limits.WebhookBatch {
				break
			}
			if b.upTo = e.Seq; w.Wants(e.Kind, e.Seq) {
				b.parcels = append(b.parcels, eventParcel(e, epoch))
			}
		}
		if at = rows[len(rows)-1].Seq; t.isOver(ctx) || t.s.Now() >= half {
			break
		}
	}
	if b.isEmpty() && w.Replaying && w.ReplaysAt <= t.s.Now() {
		return t.replays(ctx, r)
	}
	return b, barrier(ctx)
}

// replays reads dead letters that wait to be sent again.
func (t *webhookTurn) replays(ctx context.Context, r *store.Reader) (*batch, error) {
	letters, err := r.ReplayingDeadLetters(t.w.AccountID, t.w.Key, limits.WebhookBatch)
	if err != nil {
		return nil, err
	}
	b := &batch{}
	for _, d := range letters {
		p := eventParcel(d.Event(), epochOf(d.Epoch))
		p.letter = d
		b.parcels = append(b.parcels, p)
	}
	if len(letters) > 0 {
		return b, nil
	}
	return b, t.record(ctx, func(tx *store.Tx, w *models.Webhook) error {
		if err := leftToReplay(tx, w); err != nil {
			return err
		}
		return t.releaseIfDone(ctx, tx, w)
	})
}

// leftToReplay writes whether dead letters of a locked webhook wait to be replayed.
func leftToReplay(tx *store.Tx, w *models.Webhook) error {
	left, err := tx.ReplayingDeadLetters(w.AccountID, w.Key, 1)
	w.Replaying = len(left) > 0
	return err
}

// missed records, as a dead letter and as what the receiver is told next, that events are not kept any more (rule N4), or that the log
// goes on from a backup: errMissed.
func (t *webhookTurn) missed(ctx context.Context, epoch events.Epoch, head models.StreamHead) error {
	err := t.record(ctx, func(tx *store.Tx, w *models.Webhook) error {
		cause, from, to := models.DeadLetterNotKept, w.Position+1, head.Floor
		if epochOf(w.Epoch) != epoch || w.Position > head.Head {
			to = max(head.Floor, min(w.Position, head.Head))
			cause, from = models.DeadLetterRestored, to
			w.KindsAfter = nil // numbers of the other log
		}
		w.Epoch, w.Position = epoch[:], to
		w.Dealt()
		switch w.Notice {
		case models.DeadLetterRestored: // not told yet, and says more: whoever is told it reads everything anew
			cause, from = models.DeadLetterRestored, to
		case models.DeadLetterNotKept: // not told yet either
			if cause != w.Notice {
				break
			}
			w.NoticeTo = to
			if there, err := tx.WidenDeadLetter(w.Key, w.NoticeID, to); err != nil || there {
				return err
			}
			from = w.NoticeFrom
		case models.DeadLetterFailed, "":
		}
		id, err := tx.NextDeadLetter(w.Key)
		if err != nil {
			return err
		}
		w.Notice, w.NoticeID, w.NoticeFrom, w.NoticeTo, w.NoticeAt = cause, id, from, to, tx.Now
		return tx.InsertDeadLetter(&models.DeadLetter{
			AccountID: w.AccountID, WebhookID: w.Key, Key: w.NoticeID, Cause: cause, Epoch: w.Epoch, FirstSeq: from, LastSeq: to, At: tx.Now, CreatedAt: tx.Now,
		}, limits.DeadLetters)
	})
	if err != nil {
		return err
	}
	return errMissed
}
