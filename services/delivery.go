package services

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Claim is one message that this worker may hand to the channel now.
type Claim struct {
	Account  *models.Account
	To       models.Ident
	Message  *models.Message
	Attempts int
	// At is when it was claimed: before the channel was asked.
	At models.Time
	// worker and place tell this attempt from any other of the same message.
	worker, place models.Key
	// failures is what the account's gate had seen; more than 0: this message tries the channel.
	failures int
}

// Handover is what became of a claimed message.
type Handover struct {
	// Status is SENT, FAILED or UNKNOWN; QUEUED when it is to be tried again; empty when the lease
	// had run out and somebody else settled it, or the message was erased meanwhile.
	Status models.MessageStatus
	// Paused says that the channel did not answer and the account's messages wait since.
	Paused bool
	// Stale is set when the channel has been away for limits.DeliveryWait: what was queued at this
	// instant or before it has waited too long, see FailStale.
	Stale models.Time
}

// DueAccounts names accounts that have messages to hand over now, the longest waiting first; not
// those of except, nor closed ones (rule A1), nor those whose channel is away.
func (s *Services) DueAccounts(ctx context.Context, except []models.Key, most int) ([]models.DueAccount, error) {
	return s.store.View(ctx).DueAccounts(s.Now(), except, most)
}

// DueDeliveries names outbound queues that may be emptied now, of each account at most as many as
// demanded, in the order of the demands and of an account the longest waiting first.
func (s *Services) DueDeliveries(ctx context.Context, demands []models.Demand) ([]models.StreamID, error) {
	rows, err := s.store.View(ctx).DueOutboxes(s.Now(), demands)
	ids := make([]models.StreamID, len(rows))
	for i, o := range rows {
		ids[i] = models.StreamID{Account: o.AccountID, Stream: o.CustomerID}
	}
	return ids, err
}

// recorded gives a context that does not end with ctx, so that what was begun is recorded even
// when the process stops.
func recorded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limits.OperationTime)
}

// outbound is a customer's outbound queue with all that is decided by, locked but for the account.
type outbound struct {
	account  *models.Account
	gate     *models.Gate
	customer *models.Customer
	conv     *models.Conversation
	queue    *models.Outbox // nil: it is gone, or another transaction has it
}

// lockOutbound locks a customer's queue by lock, in the order of phases.
func lockOutbound(tx *store.Tx, key models.Key, lock func(models.Key) (*models.Outbox, error)) (*outbound, error) {
	customer, conv, err := lockConversation(tx, key)
	if err != nil {
		return nil, err
	}
	account, gate, err := tx.Outbound()
	if err != nil {
		return nil, err
	}
	queue, err := lock(key)
	return &outbound{account: account, gate: gate, customer: customer, conv: conv, queue: queue}, err
}

// Claim leases a customer's outbound queue and takes the message at its head; nil when there is
// nothing to do, the queue is not due, the account is closed, or its gate lets nothing through.
// worker, a new key each time, tells its lease from others'. A message that an earlier worker had
// in hand when its lease ran out becomes UNKNOWN (rule G6) and is never handed over again. What is
// claimed must go to Deliver.
func (s *Services) Claim(ctx context.Context, id models.StreamID, worker models.Key) (*Claim, error) {
	claim, err := s.claim(ctx, id, worker)
	if claim == nil || !errors.Is(err, store.ErrUnknownOutcome) {
		return claim, err
	}
	lost := claim
	err = s.persist(ctx, lost, func() (err error) {
		claim, err = s.reclaim(ctx, lost)
		return err
	})
	return claim, err
}

// claim answers ErrUnknownOutcome with the claim that may have been committed.
func (s *Services) claim(ctx context.Context, id models.StreamID, worker models.Key) (claim *Claim, err error) {
	ctx, cancel := recorded(ctx)
	defer cancel()
	err = s.store.Write(ctx, store.System(), id.Account, func(tx *store.Tx) error {
		claim = nil
		out, err := lockOutbound(tx, id.Stream, tx.LeaseOutbox)
		if err != nil || out.queue == nil || !out.queue.IsFree(tx.Now) || !out.account.IsOpen() {
			return err
		}
		if !out.gate.IsOpen() { // whether this message may try is decided under the gate's lock
			if out.gate, err = tx.LockGate(); err != nil {
				return err
			}
		}
		if !out.gate.Admits(tx.Now) {
			return nil
		}
		claim, err = s.next(tx, out, worker)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrUnknownOutcome) {
		return nil, err
	}
	return claim, err
}

// reclaim finds out whether a claim was committed; nil: it was not.
func (s *Services) reclaim(ctx context.Context, lost *Claim) (claim *Claim, err error) {
	ctx, cancel := recorded(ctx)
	defer cancel()
	err = s.store.Write(ctx, store.System(), lost.Account.Key, func(tx *store.Tx) error {
		out, err := lockOutbound(tx, lost.Message.CustomerID, tx.LockOutbox)
		if err != nil {
			return err
		}
		claim, err = lost.committed(tx, out)
		return err
	})
	return claim, err
}

// persist runs do again and again, with pauses, while it errs: until shortly before a claim's lease
// ends, and for limits.OperationTime at most once ctx has ended. What is recorded under a claim may
// be tried any number of times: who finds it recorded writes nothing.
func (s *Services) persist(ctx context.Context, c *Claim, do func() error) error {
	until := c.At.Add(limits.DeliveryLease - limits.ClockSkew)
	for stopping := false; ; {
		err := do()
		if ctx.Err() != nil && !stopping {
			stopping, until = true, min(until, s.Now().Add(limits.OperationTime))
		}
		pause := limits.DeliveryRepeat/2 + rand.N(limits.DeliveryRepeat/2+1) //nolint:gosec // chance, not secrecy.
		if err == nil || s.Now().Add(pause) > until {
			return err
		}
		<-time.After(pause)
	}
}

// next claims the message at the head of a locked queue whose account's gate lets it through, and
// settles those that cannot go out on the way to it. An empty queue is removed.
func (s *Services) next(tx *store.Tx, out *outbound, worker models.Key) (*Claim, error) {
	for {
		d, m, err := head(tx, out.customer.Key)
		if err != nil {
			return nil, err
		}
		if d == nil {
			return nil, tx.DeleteOutbox(out.customer.Key)
		}
		if d.State == models.DeliveryClaimed {
			if err := s.unknown(tx, out.customer, out.conv, d, m); err != nil {
				return nil, err
			}
			continue
		}
		if reason := mayLeave(out, m, tx.Now); reason != "" {
			if err := s.failed(tx, out.customer, out.conv, d, m, tx.Now, &Refusal{Reason: reason}); err != nil {
				return nil, err
			}
			continue
		}
		d.State = models.DeliveryClaimed
		d.Attempts++
		claim := &Claim{
			Account: out.account, To: out.customer.OpenID, Message: m, Attempts: d.Attempts, At: tx.Now,
			worker: worker, place: d.Place(), failures: out.gate.Failures,
		}
		if !out.gate.IsOpen() { // the others wait for what becomes of this one
			out.gate.Try(tx.Now, limits.DeliveryLease)
			if err := tx.UpdateGate(out.gate); err != nil {
				return nil, err
			}
		}
		out.queue.Lease(worker, tx.Now.Add(limits.DeliveryLease))
		return claim, errors.Join(tx.UpdateDelivery(d), tx.UpdateOutbox(out.queue))
	}
}

// head is the message at the head of a locked queue; nil when the queue is empty.
func head(tx *store.Tx, customer models.Key) (*models.Delivery, *models.Message, error) {
	for {
		d, err := tx.FirstDelivery(customer)
		if err != nil {
			return nil, nil, ignoreNotFound(err)
		}
		rows, err := tx.Messages(tx.Account, []models.Key{d.MessageID})
		if err != nil {
			return nil, nil, err
		}
		if len(rows) > 0 {
			return d, rows[0], nil
		}
		if err := tx.DeleteDelivery(d); err != nil { // its message was erased
			return nil, nil, err
		}
	}
}

// mayLeave says why a queued message may not go out any more: only the customer's present
// advisor sends (rule V3), and only to one who follows (rule E12); the system does whoever is the
// advisor now, but not once what its occasion allowed has ended (rule H4). Empty: it may.
func mayLeave(out *outbound, m *models.Message, now models.Time) models.FailureReason {
	c := out.customer
	switch {
	case m.Direction == models.FromSystem && c.FollowState != models.Following:
		return models.FailedNotFollowing
	case m.Direction == models.FromSystem && m.IsLapsed(out.conv.Contact, out.account.Policy(), now):
		return models.FailedWindowClosed
	case m.Direction == models.FromSystem:
		return ""
	case c.AdvisorID != m.AdvisorID:
		return models.FailedNotBound
	case c.FollowState != models.Following || c.BoundTo().IsZero():
		return models.FailedNotFollowing
	}
	return ""
}

// Deliver hands a claimed message to its channel and records the outcome: SENT, FAILED with its
// reason, waiting for another attempt, or UNKNOWN when the channel may or may not have it (rule
// G6). A channel that did not answer closes the account's gate, one that answered the message
// that tried it opens it (ADR 0016). In the same transaction it claims the queue's next message
// for the same worker, unless ctx has ended; nil when there is none, or it must wait. What the
// channel answered is not given up at a fault of the database: it is recorded as long as the lease
// lasts, and a COMMIT of which nobody knows the outcome is looked for.
func (s *Services) Deliver(ctx context.Context, c *Claim) (Handover, *Claim, error) {
	sendErr := s.handOver(ctx, c)
	var got, lost *settled
	err := s.persist(ctx, c, func() (err error) {
		got, err = s.settleClaim(ctx, c, sendErr, lost)
		if errors.Is(err, store.ErrUnknownOutcome) {
			lost = got
		}
		return err
	})
	if err != nil {
		return Handover{}, nil, err
	}
	if got.opened {
		s.wakeDeliveries()
	}
	return got.done, got.next, nil
}

// settled is what one transaction made of a claim.
type settled struct {
	done Handover
	// next is the next claim of the same worker.
	next *Claim
	// opened says that the account's gate is open again.
	opened bool
}

// settleClaim settles a claim by what the channel answered. lost is what an earlier call came to whose
// COMMIT was lost; nil: there was none. It answers ErrUnknownOutcome with what may be committed.
func (s *Services) settleClaim(ctx context.Context, c *Claim, sendErr error, lost *settled) (*settled, error) {
	stopping := ctx.Err() != nil
	ctx, cancel := recorded(ctx)
	defer cancel()
	var got settled
	err := s.store.Write(ctx, store.System(), c.Account.Key, func(tx *store.Tx) error {
		got = settled{}
		out, err := lockOutbound(tx, c.Message.CustomerID, tx.LockOutbox)
		if err != nil {
			return err
		}
		d, err := c.delivery(tx, out)
		if err != nil {
			return err
		}
		if d == nil { // we settled it, or our lease ran out and somebody else did
			if lost != nil {
				got = *lost
				got.next, err = lost.next.committed(tx, out)
			}
			return err
		}
		rows, err := tx.Messages(tx.Account, []models.Key{c.Message.Key})
		if err != nil {
			return err
		}
		if got.opened, err = moveGate(tx, out, c, sendErr, &got.done); err != nil {
			return err
		}
		due := tx.Now
		if len(rows) == 0 { // it was erased meanwhile
			err = tx.DeleteDelivery(d)
		} else {
			due, err = s.outcome(tx, out, d, rows[0], c.At, sendErr)
			got.done.Status = rows[0].Status
		}
		if err != nil {
			return err
		}
		if due > tx.Now || stopping || !out.gate.IsOpen() || !out.account.IsOpen() {
			return release(tx, out, due)
		}
		got.next, err = s.next(tx, out, c.worker)
		return err
	})
	return &got, err
}

// committed is a claim if its message is in hand for it, by what is committed, and else nil. The
// claim may be nil.
func (c *Claim) committed(tx *store.Tx, out *outbound) (*Claim, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // nothing was claimed.
	}
	d, err := c.delivery(tx, out)
	if d == nil || err != nil {
		return nil, err
	}
	return c, nil
}

// delivery is the attempt in a locked queue that the claim is of; nil when it is settled.
func (c *Claim) delivery(tx *store.Tx, out *outbound) (*models.Delivery, error) {
	if out.queue == nil {
		return nil, nil //nolint:nilnil // a settled attempt is no fault.
	}
	d, err := tx.Delivery(c.Message.CustomerID, c.Message.Key)
	if err != nil || !c.holds(out.queue, d) {
		return nil, ignoreNotFound(err)
	}
	return d, nil
}

// holds reports whether this very attempt is still the one that the queue waits for.
func (c *Claim) holds(queue *models.Outbox, d *models.Delivery) bool {
	return queue.LeasedBy == c.worker && d.Place() == c.place && d.State == models.DeliveryClaimed && d.Attempts == c.Attempts
}

// release gives a locked queue back, to be taken from due on, or removes it when it is empty.
func release(tx *store.Tx, out *outbound, due models.Time) error {
	if _, err := tx.FirstDelivery(out.customer.Key); errors.Is(err, store.ErrNotFound) {
		return tx.DeleteOutbox(out.customer.Key)
	} else if err != nil {
		return err
	}
	out.queue.Release(due)
	return tx.UpdateOutbox(out.queue)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// errLate says that the channel was not asked, because the lease might run out meanwhile: the
// process stood still between the claim and the call.
var errLate = errors.New("the lease is too short for a call")

// lateAfter is how long after its claim a message may still be handed over: the call and the
// recording of its outcome end before the lease, by clocks that differ by limits.ClockSkew. A call may renew its access token twice and close a part of
// the platform.
const lateAfter = limits.DeliveryLease - limits.ChannelTime - 3*limits.ChannelRecordTime - limits.OperationTime - limits.ClockSkew

func (s *Services) handOver(ctx context.Context, c *Claim) error {
	ch := s.channels[c.Account.Channel]
	if ch == nil {
		return &Refusal{Reason: models.FailedNoChannel}
	}
	if s.Now().Sub(c.At) > lateAfter {
		return errLate
	}
	// A stop of the process does not tear the call: nobody would know what became of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.ChannelTime)
	defer cancel()
	return ch.Send(ctx, c.Account, c.To, c.Message)
}

// answered reports whether the channel accepted or refused.
func answered(sendErr error) bool {
	var refused *Refusal
	return sendErr == nil || errors.As(sendErr, &refused)
}

// moveGate closes the account's gate when the channel did not answer, and opens it when it
// answered the message that tried it.
func moveGate(tx *store.Tx, out *outbound, c *Claim, sendErr error, done *Handover) (opened bool, err error) {
	switch {
	case errors.Is(sendErr, errLate):
		return false, nil
	case !answered(sendErr):
		if err := tx.MakeGate(); err != nil {
			return false, err
		}
		if out.gate, err = tx.LockGate(); err != nil {
			return false, err
		}
		if !out.gate.Fail(c.failures, tx.Now, backoff) {
			return false, nil
		}
		done.Paused = true
		if out.gate.Since.Add(limits.DeliveryWait) <= tx.Now {
			done.Stale = tx.Now.Add(-limits.DeliveryWait)
		}
		return false, tx.UpdateGate(out.gate)
	case c.failures > 0:
		if out.gate.Failures == c.failures {
			out.gate = &models.Gate{AccountID: tx.Account}
		}
		return true, tx.OpenGate(c.failures)
	}
	return false, nil
}

// outcome records what the channel answered (rules G2, G4, G6) and says when the queue may go on.
func (s *Services) outcome(tx *store.Tx, out *outbound, d *models.Delivery, m *models.Message, at models.Time, sendErr error) (due models.Time, err error) {
	var refused *Refusal
	switch {
	case sendErr == nil:
		return tx.Now, s.sent(tx, out.customer, out.conv, d, m)
	case errors.As(sendErr, &refused):
	case errors.Is(sendErr, errLate):
		d.State = models.DeliveryWaiting
		d.Attempts-- // it was none
		return tx.Now, tx.UpdateDelivery(d)
	case !errors.Is(sendErr, ErrNotSent):
		return tx.Now, s.unknown(tx, out.customer, out.conv, d, m)
	case d.Attempts < limits.DeliveryAttempts:
		d.State = models.DeliveryWaiting
		return tx.Now.Add(backoff(d.Attempts)), tx.UpdateDelivery(d)
	default:
		refused = &Refusal{Reason: models.FailedNoChannel}
	}
	return tx.Now, s.failed(tx, out.customer, out.conv, d, m, at, refused)
}

// backoff is the pause after so many fruitless attempts: a random half to the whole of
// limits.DeliveryBackoff, doubled with each attempt up to limits.DeliveryBackoffMax, so that those
// who failed together do not come back together.
func backoff(attempts int) time.Duration {
	whole := limits.DeliveryBackoff
	for range attempts - 1 {
		if whole *= 2; whole >= limits.DeliveryBackoffMax {
			whole = limits.DeliveryBackoffMax
			break
		}
	}
	return whole/2 + rand.N(whole/2+1) //nolint:gosec // chance, not secrecy.
}
