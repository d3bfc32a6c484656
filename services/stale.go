package services

import (
	"context"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// FailStale ends the wait of an account's messages that were queued at an instant or before it
// and could not be handed over since: FAILED with CHANNEL_UNAVAILABLE, their allowance given back
// (rule G6). It goes queue by queue, leaves out those a worker holds, and ends at once when the
// channel is back, or was meanwhile, when the account is closed, or ctx ends. A queue whose messages
// cannot be settled is left as it is, and its error joined to those of others; it gives up when no
// queue of a whole batch could be settled. It answers how many messages FAILED.
func (s *Services) FailStale(ctx context.Context, account models.Key, queued models.Time) (failed int, err error) {
	var after models.Key
	var errs []error
	for ctx.Err() == nil {
		keys, err := s.store.View(ctx).StaleOutboxes(account, after, queued, limits.BatchRows)
		if err != nil {
			return failed, errors.Join(append(errs, err)...)
		}
		faults := 0
		for _, key := range keys {
			n, away, err := s.failStale(ctx, account, key, queued)
			failed += n
			if err != nil {
				faults++
				errs = append(errs, err)
			} else if !away {
				return failed, errors.Join(errs...)
			}
			if ctx.Err() != nil {
				break
			}
			after = key
		}
		if len(keys) < limits.BatchRows || faults == len(keys) {
			break
		}
	}
	return failed, errors.Join(errs...)
}

// failStale does it for one queue. It reports whether the channel was away all the while.
func (s *Services) failStale(ctx context.Context, account, key models.Key, queued models.Time) (failed int, away bool, err error) {
	ctx, cancel := recorded(ctx)
	defer cancel()
	err = s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		failed, away = 0, false
		out, err := lockOutbound(tx, key, tx.LeaseOutbox)
		if err != nil {
			return err
		}
		// A gate that shut later is of another outage.
		away = out.account.IsOpen() && !out.gate.IsOpen() && out.gate.Since <= queued
		if !away || out.queue == nil || out.queue.LeasedUntil > tx.Now {
			return nil
		}
		for {
			d, m, err := head(tx, key)
			if err != nil {
				return err
			}
			if d == nil || d.CreatedAt > queued {
				return release(tx, out, out.queue.DueAt)
			}
			if d.State == models.DeliveryClaimed { // its worker died
				err = s.unknown(tx, out.customer, out.conv, d, m)
			} else {
				failed++
				err = s.failed(tx, out.customer, out.conv, d, m, tx.Now, &Refusal{Reason: models.FailedNoChannel})
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return 0, false, err
	}
	return failed, away, nil
}
