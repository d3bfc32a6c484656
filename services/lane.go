package services

import (
	"context"
	"hash/maphash"
	"sync"

	"clientele/limits"
	"clientele/models"
)

// inboundItem waits in a lane for its batch to be committed.
type inboundItem struct {
	account models.Key
	in      models.Inbound
	// result and err are set before done is closed.
	result InboundResult
	err    error
	done   chan struct{}
}

// lanes write what arrives by the thousand: each lane has one transaction under way, and what
// waits meanwhile goes together into its next (docs/architecture.md). Items of one advisor
// share a lane, so that lanes do not wait for each other's rows; that is a matter of speed
// only, the rows' locks keep the rules.
type lanes struct {
	seed  maphash.Seed
	all   []*lane
	write func(ctx context.Context, account models.Key, items []*inboundItem)

	// known remembers customers by openid: the key, which never changes while the row is there,
	// and the advisor, to choose the lane. Either may be out of date.
	mu    sync.Mutex
	known map[person]remembered
}

type person struct {
	account models.Key
	openid  models.Ident
}

type remembered struct{ customer, advisor models.Key }

type lane struct {
	mu      sync.Mutex
	waiting []*inboundItem
	stopped bool
	// work holds a token when something waits.
	work chan struct{}
}

// knownKept bounds the memory of known, some 15 MB; when it is full it starts anew.
const knownKept = 100_000

func newLanes(n int, write func(context.Context, models.Key, []*inboundItem)) *lanes {
	if n <= 0 {
		n = limits.Lanes
	}
	l := &lanes{seed: maphash.MakeSeed(), write: write, known: map[person]remembered{}}
	for range n {
		l.all = append(l.all, &lane{work: make(chan struct{}, 1)})
	}
	return l
}

// put queues an item; UNAVAILABLE when its lane is full or stopped.
func (l *lanes) put(it *inboundItem) error {
	key := person{it.account, models.Ident(it.in.OpenID)}
	l.mu.Lock()
	advisor := l.known[key].advisor
	l.mu.Unlock()
	var h uint64
	if !advisor.IsZero() {
		h = maphash.Comparable(l.seed, advisor)
	} else {
		h = maphash.Comparable(l.seed, key)
	}
	q := l.all[h%uint64(len(l.all))]
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped || len(q.waiting) >= limits.LaneQueue {
		return models.Errorf(models.CodeUnavailable, "too much is coming in; try again")
	}
	q.waiting = append(q.waiting, it)
	select {
	case q.work <- struct{}{}:
	default:
	}
	return nil
}

// remember notes the key and the advisor of a customer.
func (l *lanes) remember(account models.Key, c *models.Customer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= knownKept {
		clear(l.known)
	}
	l.known[person{account, c.OpenID}] = remembered{customer: c.Key, advisor: c.AdvisorID}
}

// customers is the keys of these openids, if all of them are remembered.
func (l *lanes) customers(account models.Key, openids []models.Ident) ([]models.Key, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]models.Key, len(openids))
	for i, o := range openids {
		k, ok := l.known[person{account, o}]
		if !ok {
			return nil, false
		}
		keys[i] = k.customer
	}
	return keys, true
}

// run works until ctx ends, finishes what waits, and refuses what comes after.
func (l *lanes) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, q := range l.all {
		wg.Go(func() { q.run(ctx, l.write) })
	}
	wg.Wait()
}

func (q *lane) run(ctx context.Context, write func(context.Context, models.Key, []*inboundItem)) {
	// What was accepted is written even while the process stops.
	working := context.WithoutCancel(ctx)
	for {
		for batch := q.take(); len(batch) > 0; batch = q.take() {
			write(working, batch[0].account, batch)
			for _, it := range batch {
				close(it.done)
			}
		}
		select {
		case <-q.work:
		case <-ctx.Done():
			if q.stop() {
				return
			}
		}
	}
}

// stop refuses further items; true once nothing waits.
func (q *lane) stop() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	return len(q.waiting) == 0
}

// take takes the items of the first one's account, at most a transaction's worth, and leaves
// the others in order.
func (q *lane) take() []*inboundItem {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	account := q.waiting[0].account
	var batch, rest []*inboundItem
	for _, it := range q.waiting {
		if it.account == account && len(batch) < limits.BatchRows {
			batch = append(batch, it)
		} else {
			rest = append(rest, it)
		}
	}
	q.waiting = rest
	return batch
}
