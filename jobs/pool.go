package jobs

import (
	"maps"
	"sync"

	"clientele/limits"
	"clientele/models"
)

// pool is this node's workers: how many there are, what they have in hand, and the queues that
// were found to be nobody's business for the moment. It keeps this node from starting a queue
// twice; between nodes the lease does. It is safe for concurrent use.
type pool struct {
	// share is how many workers one account may have, tries how many there may be at accounts whose
	// channel is away, all together: each holds a worker until its call runs out of time.
	workers, share, tries int
	// freed is signalled when a worker is free again: at most one signal waits.
	freed chan struct{}
	// again is signalled when a queue was given back that was seen to be due meanwhile, after a
	// wake: at most one signal waits.
	again chan struct{}

	mu     sync.Mutex
	inHand map[models.StreamID]*hand
	// trying is how many in hand try a channel.
	trying int
	// wakes is how often something was queued.
	wakes int
	// passed are queues that a worker found empty, leased elsewhere, or kept back, since the last
	// poll or wake.
	passed map[models.StreamID]bool
	busy   map[models.Key]busy
}

// hand is a queue that a worker has.
type hand struct {
	trying bool
	// wakes is how many there had been when it was taken.
	wakes int
	// seen says that it was found due meanwhile.
	seen bool
}

// busy is what one account has of a pool.
type busy struct {
	workers int
	// queues is how many it must be asked for beyond those that are wanted: in hand or passed.
	queues int
}

func newPool(workers int) *pool {
	return &pool{
		workers: workers, share: min(limits.DeliveryWorkersPerAccount, (workers+1)/2), tries: max(1, workers/limits.DeliveryTryShare),
		freed: make(chan struct{}, 1), again: make(chan struct{}, 1), inHand: map[models.StreamID]*hand{}, passed: map[models.StreamID]bool{}, busy: map[models.Key]busy{},
	}
}

// state is how many workers are free, at most limits.DeliveryBatch, how many of them may try a
// channel that is away, and what each account has.
func (p *pool) state() (free, tries int, has map[models.Key]busy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.workers-len(p.inHand), limits.DeliveryBatch), p.tries - p.trying, maps.Clone(p.busy)
}

// has reports whether a queue that is due is in hand or was passed.
func (p *pool) has(id models.StreamID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.inHand[id]
	if h != nil {
		h.seen = true
	}
	return h != nil || p.passed[id]
}

// take gives queues to workers; trying are the accounts whose channel is away.
func (p *pool) take(ids []models.StreamID, trying map[models.Key]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		h := &hand{trying: trying[id.Account], wakes: p.wakes}
		p.inHand[id] = h
		if h.trying {
			p.trying++
		}
		p.add(id.Account, 1, 1)
	}
}

// release gives a worker back; idle: it found nothing to do, and the queue is passed unless
// something was queued meanwhile.
func (p *pool) release(id models.StreamID, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.inHand[id]
	delete(p.inHand, id)
	if h.trying {
		p.trying--
	}
	woken := h.wakes != p.wakes
	if woken && h.seen {
		select {
		case p.again <- struct{}{}:
		default:
		}
	}
	if idle && !woken {
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

// wake says that something was queued, perhaps in a queue that is in hand or was passed.
func (p *pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakes++
	p.clearPassed()
}

// forget lets passed queues be looked at again.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearPassed()
}

func (p *pool) clearPassed() {
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
