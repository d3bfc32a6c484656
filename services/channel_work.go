package services

import (
	"context"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// ErrWorkLost ends a turn at what is asked of a platform: another node has it by now.
var ErrWorkLost = errors.New("another node asks the platform by now")

// errCannotAsk: this node's channel does not ask what waits.
var errCannotAsk = errors.New("the channel has nobody to ask")

// closedChannel is an error of a channel that is not asked until an instant.
type closedChannel interface{ ClosedUntil() models.Time }

// channelWorker asks a part of an account's platform for what waits, once, and records the answer by turn.record. It sets turn.failed when
// the platform did not answer. Its error is one of the database.
type channelWorker func(ctx context.Context, account *models.Account, turn *turn) error

func (s *Services) channelWorker(api models.ChannelAPI) channelWorker {
	switch api {
	case models.APIQRCodes:
		return s.tellCodes
	case models.APIFollowerInfo:
		return s.askOrigins
	default:
		return nil
	}
}

// channelAPIs are the parts that have a worker; a newer node may have more.
var channelAPIs = []models.ChannelAPI{models.APIQRCodes, models.APIFollowerInfo}

// turn is a lease of what is to be asked of a part of an account's platform.
type turn struct {
	s    *Services
	work *models.ChannelWork
	// failed is why the platform did not answer; nil: it did.
	failed error
	// again says that there is more to ask at once.
	again bool
	// by is when the next turn is due at the latest, whatever failed; 0: that does not matter.
	by models.Time
}

// ChannelWorkQueued tells the workers that something is to be asked of a platform: at most one signal waits.
func (s *Services) ChannelWorkQueued() <-chan struct{} { return s.workQueued }

func (s *Services) wakeChannelWork() {
	select {
	case s.workQueued <- struct{}{}:
	default:
	}
}

// ClaimChannelWork takes up to most of what is to be asked of accounts' platforms, the longest waiting first. Each must go to WorkChannel.
func (s *Services) ClaimChannelWork(ctx context.Context, most int) ([]*models.ChannelWork, error) {
	if most == 0 {
		return nil, nil
	}
	due, err := s.store.View(ctx).DueChannelWork(s.Now(), channelAPIs, most)
	if err != nil {
		return nil, err
	}
	var claimed []*models.ChannelWork
	for _, d := range due {
		var mine *models.ChannelWork
		err := s.store.Write(ctx, store.System(), d.AccountID, func(tx *store.Tx) error {
			mine = nil
			w, err := tx.LockChannelWork(d.API)
			if err != nil || w.DueAt > tx.Now {
				return ignoreNotFound(err)
			}
			w.LeasedBy, w.DueAt = models.NewKey(), tx.Now.Add(limits.ChannelWorkLease)
			mine = w
			return tx.PutChannelWork(w)
		})
		if err != nil {
			return claimed, err
		}
		if mine != nil {
			claimed = append(claimed, mine)
		}
	}
	return claimed, nil
}

// WorkChannel asks a platform for what waits, until nothing does, the platform does not answer, or limits.ChannelWorkTurn requests were made
// in a row and others have their turn. The error is for the log: what failed is tried again.
func (s *Services) WorkChannel(ctx context.Context, w *models.ChannelWork) error {
	t := &turn{s: s, work: w}
	for range limits.ChannelWorkTurn {
		t.again, t.failed, t.by = false, nil, 0
		account, err := s.store.View(ctx).Account(w.AccountID)
		if err != nil {
			return err
		}
		if err := s.channelWorker(w.API)(ctx, account, t); err != nil {
			return err
		}
		if !t.again {
			return t.failed
		}
		if ctx.Err() != nil {
			break
		}
	}
	return t.release(ctx)
}

// release gives back what there is more to ask of, behind what has waited longer.
func (t *turn) release(ctx context.Context) error {
	ctx, cancel := recorded(ctx)
	defer cancel()
	err := t.s.store.Write(ctx, store.System(), t.work.AccountID, func(tx *store.Tx) error {
		now, err := tx.LockChannelWork(t.work.API)
		if err != nil || now.LeasedBy != t.work.LeasedBy {
			return ignoreNotFound(err)
		}
		now.LeasedBy, now.DueAt = models.Key{}, tx.Now
		return tx.PutChannelWork(now)
	})
	t.s.wakeChannelWork()
	return err
}

// record writes what the platform answered, by fn, under the lock of the work, and when there is more to ask: left answers, in the same
// transaction, from when on what is left waits; none: nothing is left. After a failure the whole waits longer each time, or until the platform is asked again at
// all. ErrWorkLost when the lease ran out.
func (t *turn) record(ctx context.Context, fn func(tx *store.Tx) (left models.Time, none bool, err error)) error {
	ctx, cancel := recorded(ctx)
	defer cancel()
	return t.s.store.Write(ctx, store.System(), t.work.AccountID, func(tx *store.Tx) error {
		now, err := tx.LockChannelWork(t.work.API)
		if errors.Is(err, store.ErrNotFound) || err == nil && now.LeasedBy != t.work.LeasedBy {
			return ErrWorkLost
		}
		if err != nil {
			return err
		}
		left, none, err := fn(tx)
		if err != nil {
			return err
		}
		t.again = false
		var closed closedChannel
		switch {
		case none:
			return tx.DeleteChannelWork(t.work.API)
		case errors.Is(t.failed, errCannotAsk):
			now.DueAt = tx.Now.Add(limits.ChannelWorkIdle)
		case errors.As(t.failed, &closed):
			// Whoever mended it may have been between: a look costs little.
			now.DueAt = min(closed.ClosedUntil(), tx.Now.Add(limits.ChannelRefused))
		case t.failed != nil:
			now.Attempts++
			now.DueAt = tx.Now.Add(backoff(now.Attempts))
		case left <= tx.Now:
			t.again = true
			now.Attempts, now.DueAt = 0, tx.Now.Add(limits.ChannelWorkLease)
			t.work = now
			return tx.PutChannelWork(now)
		default:
			now.Attempts, now.DueAt = 0, left
		}
		if t.by != 0 {
			now.DueAt = min(now.DueAt, t.by)
		}
		now.LeasedBy = models.Key{}
		return tx.PutChannelWork(now)
	})
}
