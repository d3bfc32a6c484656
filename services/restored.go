package services

import (
	"context"
	"slices"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Restoration is what Restored did.
type Restoration struct {
	// Messages is how many queued messages became UNKNOWN, Customers whose they were.
	Messages, Customers int
}

// Restored makes the database fit to serve after it lost commits: a backup was restored, or a
// replica promoted that lagged behind. No node may run meanwhile. It may be called again: what was
// done stays done.
//
// The log has another epoch from then on, since numbers after the loss are used anew (rule N4).
// And every message in an outbound queue becomes UNKNOWN (rule G6), one that only waits too: since
// the backup was made it may have left, and what the database lost is just the record of that. Its
// sender decides whether to send it again. Receivers of webhooks are told at once.
func (s *Services) Restored(ctx context.Context) (Restoration, error) {
	var done Restoration
	// First, so that whatever is written from here on is of the new epoch.
	if err := s.store.NewEpoch(ctx); err != nil {
		return done, err
	}
	return done, s.eachAccount(ctx, func(account models.Key) error {
		if err := s.restoreQueues(ctx, account, &done); err != nil {
			return err
		}
		return s.restoreWebhooks(ctx, account)
	})
}

// restoreWebhooks has idle webhooks of an account be due: their receivers are told that the log is another.
func (s *Services) restoreWebhooks(ctx context.Context, account models.Key) error {
	if rows, err := s.store.View(ctx).Webhooks(account); err != nil || len(rows) == 0 {
		return err
	}
	return s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		rows, err := tx.LockWebhooks()
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(w *models.Webhook) bool { return !w.IsIdle() })
		for _, w := range rows {
			w.DueAt = tx.Now
		}
		return tx.PutWebhooks(rows)
	})
}

func (s *Services) restoreQueues(ctx context.Context, account models.Key, done *Restoration) error {
	var customer models.Key
	for {
		queued, err := s.store.View(ctx).QueuedCustomers(account, customer, limits.BatchRows)
		if err != nil {
			return err
		}
		for _, customer = range queued {
			n := 0
			err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
				n, err = s.forgetQueue(tx, customer)
				return err
			})
			if err != nil {
				return err
			}
			if n > 0 {
				done.Messages += n
				done.Customers++
			}
		}
		if len(queued) < limits.BatchRows {
			return nil
		}
	}
}

// forgetQueue records for every message of a queue that nobody knows what became of it, and
// removes the queue.
func (s *Services) forgetQueue(tx *store.Tx, key models.Key) (int, error) {
	customer, conv, err := lockConversation(tx, key)
	if err != nil {
		return 0, err
	}
	if queue, err := tx.LockOutbox(key); err != nil || queue == nil {
		return 0, err
	}
	deliveries, err := tx.Deliveries(tx.Account, key)
	if err != nil {
		return 0, err
	}
	keys := make([]models.Key, len(deliveries))
	for i, d := range deliveries {
		keys[i] = d.MessageID
	}
	messages, err := tx.Messages(tx.Account, keys)
	if err != nil {
		return 0, err
	}
	for _, d := range deliveries {
		m := find(messages, d.MessageID, func(m *models.Message) models.Key { return m.Key })
		if m == nil { // its message was erased
			err = tx.DeleteDelivery(d)
		} else {
			err = s.unknown(tx, customer, conv, d, m)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(messages), tx.DeleteOutbox(key)
}

func find[T any](rows []*T, key models.Key, of func(*T) models.Key) *T {
	for _, r := range rows {
		if of(r) == key {
			return r
		}
	}
	return nil
}
