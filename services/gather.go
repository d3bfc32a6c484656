package services

import (
	"context"
	"sync"

	"clientele/limits"
	"clientele/models"
)

// gather joins what many ask of one account, each for itself, into few statements: what is asked
// while a round is read goes together into the account's next, and there is no timer. A round
// begins after everybody in it has asked, so what it answers is no older than a statement of
// one's own, whoever else shares it. One round an account is read at a time and gatherers of all
// accounts; each has as many keys as a statement may name. Safe for concurrent use.
type gather[R any] struct {
	// read reads a round. It has limits.OperationTime, whoever waits.
	read func(ctx context.Context, account models.Key, round *R) error

	mu sync.Mutex
	// waiting are the rounds nobody reads yet, in the order in which they are read.
	waiting []*round[R]
	reading map[models.Key]bool
	workers int
}

// round is what is read together.
type round[R any] struct {
	account models.Key
	content R
	keys    int
	// err is set before done is closed.
	err  error
	done chan struct{}
}

// gatherers is how many rounds of one kind are read at a time, of as many accounts: few, so that
// a storm leaves connections of the pool to everybody else.
const gatherers = 4

func newGather[R any](read func(context.Context, models.Key, *R) error) *gather[R] {
	return &gather[R]{read: read, reading: map[models.Key]bool{}}
}

// ask has add put something into a round of the account and returns what the round read. add
// answers how many keys are in it now; it is called under a lock and must not block. The round
// is shared: it must not be changed. It fails with the round's error, or ctx's when that ends first.
func (g *gather[R]) ask(ctx context.Context, account models.Key, add func(*R) (keys int)) (*R, error) {
	g.mu.Lock()
	r := g.open(account)
	r.keys = add(&r.content)
	g.start()
	g.mu.Unlock()
	select {
	case <-r.done:
		return &r.content, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open is the account's round that still takes keys. mu must be held.
func (g *gather[R]) open(account models.Key) *round[R] {
	for i := len(g.waiting) - 1; i >= 0; i-- {
		if r := g.waiting[i]; r.account == account {
			if r.keys < limits.KeysPerRound {
				return r
			}
			break
		}
	}
	r := &round[R]{account: account, done: make(chan struct{})}
	g.waiting = append(g.waiting, r)
	return r
}

// start begins to read if there is somebody to and something. mu must be held.
func (g *gather[R]) start() {
	if g.workers == gatherers {
		return
	}
	if r := g.next(); r != nil {
		g.workers++
		go g.work(r)
	}
}

// next takes the first round of an account of which none is being read. mu must be held.
func (g *gather[R]) next() *round[R] {
	for i, r := range g.waiting {
		if !g.reading[r.account] {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.reading[r.account] = true
			return r
		}
	}
	return nil
}

// work reads rounds until there is none to read.
func (g *gather[R]) work(r *round[R]) {
	for r != nil {
		ctx, cancel := context.WithTimeout(context.Background(), limits.OperationTime) //nolint:forbidigo // a round is for several callers, any of whom may leave.
		r.err = g.read(ctx, r.account, &r.content)
		cancel()
		close(r.done)
		g.mu.Lock()
		delete(g.reading, r.account)
		if r = g.next(); r == nil {
			g.workers--
		}
		g.mu.Unlock()
	}
}
