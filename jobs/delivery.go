package jobs

import (
	"cmp"
	"context"
	"maps"
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
	free, busy := p.state()
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
	var demands []models.Demand
	for _, a := range accounts {
		b := busy[a.AccountID]
		n := min(free, p.share-b.workers)
		if a.Failures > 0 { // half open: one tries, when what is under way has ended
			if n = 1; b.workers > 0 {
				more = true
				continue
			}
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
	p.take(taken)
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

// pool is this node's workers: how many there are, what they have in hand, and the queues that
// were found to be nobody's business for the moment. It keeps this node from starting a queue
// twice; between nodes the lease does. It is safe for concurrent use.
type pool struct {
	workers, share int
	// freed is signalled when a worker is free again: at most one signal waits.
	freed chan struct{}

	mu     sync.Mutex
	inHand map[models.StreamID]bool
	// passed are queues that a worker found leased elsewhere, or kept back, since the last poll.
	passed map[models.StreamID]bool
	busy   map[models.Key]busy
}

// busy is what one account has of a pool.
type busy struct {
	workers int
	// queues is how many it must be asked for beyond those that are wanted: in hand or passed.
	queues int
}

func newPool(workers int) *pool {
	return &pool{
		workers: workers, share: min(limits.DeliveryWorkersPerAccount, (workers+1)/2), freed: make(chan struct{}, 1),
		inHand: map[models.StreamID]bool{}, passed: map[models.StreamID]bool{}, busy: map[models.Key]busy{},
	}
}

// state is how many workers are free, at most limits.DeliveryBatch, and what each account has.
func (p *pool) state() (free int, has map[models.Key]busy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.workers-len(p.inHand), limits.DeliveryBatch), maps.Clone(p.busy)
}

// has reports whether a queue is in hand or was passed.
func (p *pool) has(id models.StreamID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inHand[id] || p.passed[id]
}

func (p *pool) take(ids []models.StreamID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		p.inHand[id] = true
		p.add(id.Account, 1, 1)
	}
}

// release gives a worker back; idle: it found nothing to do, and the queue is passed.
func (p *pool) release(id models.StreamID, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inHand, id)
	if idle {
		p.passed[id] = true
		p.add(id.Account, -1, 0)
	} else {
		p.add(id.Account, -1, -1)
	}
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// forget lets passed queues be looked at again.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.passed {
		p.add(id.Account, 0, -1)
	}
	clear(p.passed)
}

func (p *pool) add(account models.Key, workers, queues int) {
	b := p.busy[account]
	b.workers, b.queues = b.workers+workers, b.queues+queues
	if b == (busy{}) {
		delete(p.busy, account)
	} else {
		p.busy[account] = b
	}
}
