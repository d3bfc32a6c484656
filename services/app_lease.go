package services

import (
	"context"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// apps counts this node's live message subscriptions by advisor and keeps the lease that tells
// all nodes that the app is open (rule N3). One goroutine writes the leases: what is opened and
// closed while it writes goes together into its next round, so that ten thousand apps that come
// back at once cost a few transactions.
type apps struct {
	s    *Services
	mu   sync.Mutex
	open map[models.StreamID]int
	// pending are advisors whose lease must be written, with those who wait for it.
	pending map[models.StreamID]*pendingApp
	work    chan struct{}
}

// pendingApp is what the next round writes of an advisor's lease.
type pendingApp struct {
	waiting []chan struct{}
	// seen is when the app was last heard of, and until how long it counts as open; they say
	// something when no subscription is open any more.
	seen, until models.Time
}

func newApps(s *Services) *apps {
	return &apps{s: s, open: map[models.StreamID]int{}, pending: map[models.StreamID]*pendingApp{}, work: make(chan struct{}, 1)}
}

// opened counts a subscription and returns once the lease is written, or ctx ends. The
// subscription counts either way and must be given back with closed.
func (a *apps) opened(ctx context.Context, id models.StreamID) {
	written := make(chan struct{})
	a.mu.Lock()
	a.open[id]++
	first := a.open[id] == 1
	if first {
		p := a.of(id)
		p.waiting = append(p.waiting, written)
	}
	a.mu.Unlock()
	if !first {
		return
	}
	a.wake()
	select {
	case <-written:
	case <-ctx.Done():
	}
}

// of is what is pending for an advisor. mu must be held.
func (a *apps) of(id models.StreamID) *pendingApp {
	p := a.pending[id]
	if p == nil {
		p = &pendingApp{}
		a.pending[id] = p
	}
	return p
}

// closed ends what opened began. With the last one a clean close ends the lease now; a client
// that was lost, and silent for a while before, leaves one that lapses as if the node had died.
// Either way the sweep deletes it, after making the notifications for what came since.
func (a *apps) closed(id models.StreamID, lost bool, silent time.Duration) {
	now := a.s.Now()
	a.mu.Lock()
	a.open[id]--
	if a.open[id] <= 0 {
		delete(a.open, id)
		p := a.of(id)
		p.seen, p.until = now, now
		if lost {
			p.seen = now.Add(-silent)
			p.until = p.seen.Add(limits.AppLease)
		}
	}
	a.mu.Unlock()
	a.wake()
}

func (a *apps) wake() {
	select {
	case a.work <- struct{}{}:
	default:
	}
}

func (a *apps) run(ctx context.Context) {
	renew := time.NewTicker(limits.AppLeaseRenewal)
	defer renew.Stop()
	for {
		select {
		case <-a.work:
			a.flush(context.WithoutCancel(ctx))
		case <-renew.C:
			a.renew(ctx)
		case <-ctx.Done():
			a.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// flush writes and deletes what is pending.
func (a *apps) flush(ctx context.Context) {
	a.mu.Lock()
	pending := a.pending
	a.pending = map[models.StreamID]*pendingApp{}
	leases := make([]*models.AppLease, 0, len(pending))
	for id, p := range pending {
		leases = append(leases, a.lease(id, p))
	}
	a.mu.Unlock()
	a.write(ctx, leases)
	for _, p := range pending {
		for _, w := range p.waiting {
			close(w)
		}
	}
}

func (a *apps) renew(ctx context.Context) {
	a.mu.Lock()
	leases := make([]*models.AppLease, 0, len(a.open))
	for id := range a.open {
		leases = append(leases, a.lease(id, nil))
	}
	a.mu.Unlock()
	a.write(ctx, leases)
}

// lease is an advisor's lease of this node as it is to be written. mu must be held.
func (a *apps) lease(id models.StreamID, p *pendingApp) *models.AppLease {
	now := a.s.Now()
	l := &models.AppLease{
		AccountID: id.Account, AdvisorID: id.Stream, NodeID: a.s.store.Node(), RenewedAt: now, ExpiresAt: now.Add(limits.AppLease),
	}
	if a.open[id] == 0 && p != nil {
		l.RenewedAt, l.ExpiresAt = p.seen, p.until
	}
	return l
}

// write writes leases, one transaction an account. A failure is logged, unless ctx has ended: a lease
// that is not renewed lapses and the sweep makes the notifications, so nothing is lost.
func (a *apps) write(ctx context.Context, leases []*models.AppLease) {
	byAccount := map[models.Key][]*models.AppLease{}
	for _, l := range leases {
		byAccount[l.AccountID] = append(byAccount[l.AccountID], l)
	}
	for account, rows := range byAccount {
		limited, cancel := context.WithTimeout(ctx, limits.OperationTime)
		err := a.s.store.Write(limited, store.System(), account, func(tx *store.Tx) error { return tx.WriteApps(rows) })
		cancel()
		if err != nil && ctx.Err() == nil {
			a.s.log.WarnContext(ctx, "app leases not written", "account", account.String(), "advisors", len(rows), "error", store.Describe(err))
		}
	}
}
