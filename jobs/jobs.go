// Package jobs holds the work that nobody waits for: what leaves for the channels, and what has
// lapsed. All of it is found in tables, leased or decided under row locks, so that any node may
// do it and a node that dies loses nothing.
package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// Runner does this node's share.
type Runner struct {
	Services *services.Services
	Log      *slog.Logger
	// Workers is how many outbound queues are emptied at the same time; 0: limits.DeliveryWorkers.
	Workers int
	// Delivered is told of each message that was handed over; nil: nobody is.
	Delivered func(err error)
}

// Run works until ctx ends and what is under way has been recorded.
func (r *Runner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { r.deliveries(ctx) })
	wg.Go(func() { r.every(ctx, "expired invitations", r.Services.ExpireInvitations) })
	wg.Go(func() { r.every(ctx, "lapsed apps", r.Services.SweepApps) })
	wg.Go(func() { r.retention(ctx) })
	wg.Wait()
}

// every runs one sweep each limits.SweepInterval, again at once while it finds a full batch.
func (r *Runner) every(ctx context.Context, what string, sweep func(context.Context) (int, error)) {
	t := time.NewTicker(limits.SweepInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		for n := limits.BatchRows; n == limits.BatchRows && ctx.Err() == nil; {
			var err error
			if n, err = sweep(ctx); err != nil {
				if ctx.Err() == nil {
					r.Log.WarnContext(ctx, "a sweep failed and is tried again", "sweep", what, "error", err)
				}
				break
			}
		}
	}
}

// deliveries empties outbound queues: at once when this process queued something, and by
// looking each limits.DeliveryPoll for what other nodes left or what is due again.
func (r *Runner) deliveries(ctx context.Context) {
	workers := r.Workers
	if workers <= 0 {
		workers = limits.DeliveryWorkers
	}
	t := time.NewTicker(limits.DeliveryPoll)
	defer t.Stop()
	slots := make(chan struct{}, workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	busy := &inHand{queues: map[models.StreamID]bool{}}
	for {
		due, err := r.Services.DueDeliveries(ctx, limits.DeliveryBatch)
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "outbound queues not read", "error", err)
		}
		started := 0
		for _, id := range due {
			if !busy.take(id) {
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			started++
			wg.Go(func() {
				defer func() { <-slots }()
				defer busy.release(id)
				r.empty(ctx, id)
			})
		}
		if started == limits.DeliveryBatch {
			continue // there may be more
		}
		select {
		case <-t.C:
		case <-r.Services.Queued():
		case <-ctx.Done():
			return
		}
	}
}

// empty hands over one customer's messages in order until the queue is empty, not due, or ctx
// ends.
func (r *Runner) empty(ctx context.Context, id models.StreamID) {
	worker := models.NewKey()
	for ctx.Err() == nil {
		claim, err := r.Services.Claim(ctx, id, worker)
		if err == nil && claim == nil {
			return
		}
		more := false
		if err == nil {
			more, err = r.Services.Deliver(ctx, claim)
			if r.Delivered != nil {
				r.Delivered(err)
			}
		}
		if err != nil {
			if ctx.Err() == nil {
				r.Log.WarnContext(ctx, "a delivery failed", "account", id.Account.String(), "customer", id.Stream.String(), "error", err)
			}
			return
		}
		if !more {
			return
		}
	}
}

// inHand keeps this node from starting a queue twice; between nodes the lease does.
type inHand struct {
	mu     sync.Mutex
	queues map[models.StreamID]bool
}

func (h *inHand) take(id models.StreamID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.queues[id] {
		return false
	}
	h.queues[id] = true
	return true
}

func (h *inHand) release(id models.StreamID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.queues, id)
}
