package services

import (
	"context"
	"errors"
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
}

// DueDeliveries names outbound queues that may be emptied now, the longest waiting first.
func (s *Services) DueDeliveries(ctx context.Context, most int) ([]models.StreamID, error) {
	rows, err := s.store.View(ctx).DueOutboxes(s.Now(), most)
	ids := make([]models.StreamID, len(rows))
	for i, o := range rows {
		ids[i] = models.StreamID{Account: o.AccountID, Stream: o.CustomerID}
	}
	return ids, err
}

// Claim leases a customer's outbound queue and takes the message at its head; nil when there is
// nothing to do. worker tells its lease from others'. A message that an earlier worker had in
// hand when its lease ran out becomes UNKNOWN (rule G6) and is never handed over again.
func (s *Services) Claim(ctx context.Context, id models.StreamID, worker models.Key) (claim *Claim, err error) {
	err = s.store.Write(ctx, store.System(), id.Account, func(tx *store.Tx) error {
		claim, err = s.claim(tx, id.Stream, worker)
		return err
	})
	return claim, err
}

func (s *Services) claim(tx *store.Tx, key, worker models.Key) (*Claim, error) {
	customer, conv, err := lockConversation(tx, key)
	if err != nil {
		return nil, err
	}
	account, err := tx.Reader.Account(tx.Account)
	if err != nil {
		return nil, err
	}
	queue, err := tx.LeaseOutbox(key)
	if err != nil || queue == nil {
		return nil, err
	}
	if queue.LeasedUntil > tx.Now && queue.LeasedBy != worker || queue.DueAt > tx.Now {
		return nil, nil //nolint:nilnil // another worker has it, or it is not due.
	}
	for {
		d, err := tx.FirstDelivery(key)
		if errors.Is(err, store.ErrNotFound) {
			return nil, tx.DeleteOutbox(key)
		}
		if err != nil {
			return nil, err
		}
		rows, err := tx.Messages(tx.Account, []models.Key{d.MessageID})
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 { // its message was erased
			if err := tx.DeleteDelivery(d); err != nil {
				return nil, err
			}
			continue
		}
		m := rows[0]
		if d.State == models.DeliveryClaimed {
			if err := s.unknown(tx, customer, conv, d, m); err != nil {
				return nil, err
			}
			continue
		}
		if reason := mayLeave(customer, m); reason != "" {
			if err := s.failed(tx, customer, conv, d, m, tx.Now, &Refusal{Reason: reason}); err != nil {
				return nil, err
			}
			continue
		}
		if !account.IsOpen() { // rule A1: deliveries pause while the account is closed
			queue.DueAt, queue.LeasedUntil = tx.Now.Add(limits.DeliveryLease), 0
			return nil, tx.UpdateOutbox(queue)
		}
		d.State = models.DeliveryClaimed
		d.Attempts++
		queue.LeasedBy, queue.LeasedUntil = worker, tx.Now.Add(limits.DeliveryLease)
		if err := tx.UpdateDelivery(d); err != nil {
			return nil, err
		}
		return &Claim{Account: account, To: customer.OpenID, Message: m, Attempts: d.Attempts, At: tx.Now}, tx.UpdateOutbox(queue)
	}
}

// mayLeave says why a queued message may not go out any more: only the customer's present
// advisor sends (rule V3), and only to one who follows (rule E12). Empty: it may.
func mayLeave(c *models.Customer, m *models.Message) models.FailureReason {
	switch {
	case c.AdvisorID != m.AdvisorID:
		return models.FailedNotBound
	case c.FollowState != models.Following || c.BoundTo().IsZero():
		return models.FailedNotFollowing
	}
	return ""
}

// Deliver hands a claimed message to its channel and records the outcome: SENT, FAILED with its
// reason, waiting for another attempt, or UNKNOWN when the channel may or may not have it (rule
// G6). It reports whether the queue may go on at once.
func (s *Services) Deliver(ctx context.Context, c *Claim) (more bool, err error) {
	sendErr := s.handOver(ctx, c)
	// The outcome is recorded even when the process stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.OperationTime)
	defer cancel()
	err = s.store.Write(ctx, store.System(), c.Account.Key, func(tx *store.Tx) error {
		customer, conv, err := lockConversation(tx, c.Message.CustomerID)
		if err != nil {
			return err
		}
		queue, err := tx.LeaseOutbox(c.Message.CustomerID)
		if err != nil || queue == nil {
			return err
		}
		d, err := tx.FirstDelivery(c.Message.CustomerID)
		if err != nil || d.MessageID != c.Message.Key || d.State != models.DeliveryClaimed || d.Attempts != c.Attempts {
			more = false
			return ignoreNotFound(err) // our lease ran out and somebody settled it
		}
		m := *c.Message
		queue.LeasedUntil = 0
		more, err = s.outcome(tx, customer, conv, queue, d, &m, c.At, sendErr)
		if err != nil {
			return err
		}
		return tx.UpdateOutbox(queue)
	})
	return more, err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Services) handOver(ctx context.Context, c *Claim) error {
	ch := s.channels[c.Account.Channel]
	if ch == nil {
		return &Refusal{Reason: models.FailedNoChannel}
	}
	// A stop of the process does not tear the call: nobody would know what became of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.ChannelTime)
	defer cancel()
	return ch.Send(ctx, c.Account, c.To, c.Message)
}

// outcome records what the channel answered (rules G2, G4, G6).
func (s *Services) outcome(tx *store.Tx, customer *models.Customer, conv *models.Conversation, queue *models.Outbox,
	d *models.Delivery, m *models.Message, at models.Time, sendErr error,
) (more bool, err error) {
	var refused *Refusal
	switch {
	case sendErr == nil:
		return true, s.sent(tx, customer, conv, d, m)
	case errors.As(sendErr, &refused):
	case !errors.Is(sendErr, ErrNotSent):
		return true, s.unknown(tx, customer, conv, d, m)
	case d.Attempts < limits.DeliveryAttempts:
		d.State = models.DeliveryWaiting
		queue.DueAt = tx.Now.Add(backoff(d.Attempts))
		return false, tx.UpdateDelivery(d)
	default:
		refused = &Refusal{Reason: models.FailedNoChannel}
	}
	return true, s.failed(tx, customer, conv, d, m, at, refused)
}

func backoff(attempts int) time.Duration {
	d := limits.DeliveryBackoff << (attempts - 1)
	return min(d, limits.DeliveryBackoffMax)
}
