package jobs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// deliveries empties outbound queues until ctx ends: at once when this process queued something,
// and by looking each Poll for what other nodes left or what is due again.
func (r *Runner) deliveries(ctx context.Context) {
	workers := r.Workers
	if workers <= 0 {
		workers = limits.DeliveryWorkers
	}
	poll := r.Poll
	if poll <= 0 {
		poll = limits.DeliveryPoll
	}
	p := newPool(workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	waited := newStale(r, &wg)
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		queues, more, err := r.due(ctx, p)
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "outbound queues not read", "error", err)
		}
		for _, id := range queues {
			wg.Go(func() {
				idle := true
				defer func() { p.release(id, idle) }()
				idle = !r.empty(ctx, id, waited)
			})
		}
		freed := p.freed
		if !more {
			freed = nil // whoever is free has nothing to do
		}
		select {
		case <-t.C:
			p.forget()
		case <-r.Services.Queued():
			p.wake()
		case <-p.again:
		case <-freed:
		case <-ctx.Done():
			return
		}
	}
}

// due takes, for as many workers as are free, queues that are due: of each account in turn one,
// those first that have the fewest workers. It reports whether more may be due than were taken.
// Its statements are two, however many accounts and queues there are.
func (r *Runner) due(ctx context.Context, p *pool) (taken []models.StreamID, more bool, err error) {
	free, tries, busy := p.state()
	if free == 0 {
		return nil, true, nil
	}
	var full []models.Key
	for account, b := range busy {
		if b.workers >= p.share {
			full = append(full, account)
		}
	}
	accounts, err := r.Services.DueAccounts(ctx, full, limits.DeliveryBatch)
	if err != nil {
		return nil, true, err
	}
	more = len(full) > 0 || len(accounts) == limits.DeliveryBatch
	slices.SortStableFunc(accounts, func(a, b models.DueAccount) int {
		return cmp.Compare(busy[a.AccountID].workers, busy[b.AccountID].workers)
	})
	want := make(map[models.Key]int, len(accounts))
	trying := map[models.Key]bool{}
	var demands []models.Demand
	for _, a := range accounts {
		b := busy[a.AccountID]
		n := min(free, p.share-b.workers)
		if a.Failures > 0 { // half open: one tries, when what is under way has ended
			if b.workers > 0 || tries == 0 {
				more = true
				continue
			}
			n = 1
			tries--
			trying[a.AccountID] = true
		}
		want[a.AccountID] = n
		// Queues in hand may be among the due ones until they are claimed.
		demands = append(demands, models.Demand{Account: a.AccountID, Most: n + b.queues})
	}
	queues, err := r.Services.DueDeliveries(ctx, demands)
	if err != nil {
		return nil, true, err
	}
	candidates := map[models.Key][]models.StreamID{}
	for _, id := range queues {
		if !p.has(id) {
			candidates[id.Account] = append(candidates[id.Account], id)
		}
	}
	for turn := 0; len(taken) < free; turn++ {
		before := len(taken)
		for _, a := range accounts {
			if ids := candidates[a.AccountID]; turn < min(want[a.AccountID], len(ids)) && len(taken) < free {
				taken = append(taken, ids[turn])
			}
		}
		if len(taken) == before {
			break
		}
	}
	for _, a := range accounts {
		more = more || a.Failures == 0 && len(candidates[a.AccountID]) >= want[a.AccountID]
	}
	p.take(taken, trying)
	return taken, more || len(taken) == free, nil
}

// empty hands over one customer's messages in order until the queue is empty, must wait, or ctx
// ends; what was claimed by then is still handed over and recorded. It reports whether there was
// anything to do.
func (r *Runner) empty(ctx context.Context, id models.StreamID, waited *stale) (worked bool) {
	claim, err := r.Services.Claim(ctx, id, models.NewKey())
	for err == nil && claim != nil {
		worked = true
		var done services.Handover
		done, claim, err = r.Services.Deliver(ctx, claim)
		if r.Delivered != nil {
			r.Delivered(done, err)
		}
		if done.Paused {
			r.Log.InfoContext(ctx, "the channel of an account does not answer; its messages wait", "account", id.Account.String())
		}
		if !done.Stale.IsZero() && err == nil {
			waited.fail(ctx, id.Account, done.Stale)
		}
	}
	if err != nil && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "a delivery failed", "account", id.Account.String(), "customer", id.Stream.String(), "error", err)
	}
	return worked
}
