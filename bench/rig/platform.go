package rig

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Platform posts callbacks on a number of connections.
type Platform struct {
	connections []*Callbacks
	set         *Dataset
	openids     []string
	next        atomic.Int64
	posted      atomic.Int64
}

// NewPlatform makes a platform with so many connections. Close it.
func (r *Rig) NewPlatform(connections int) *Platform {
	p := &Platform{set: r.Set, openids: make([]string, r.Set.Customers)}
	for i := range p.openids {
		p.openids[i] = CustomerOpenID(i)
	}
	for range connections {
		p.connections = append(p.connections, r.NewCallbacks())
	}
	return p
}

// Posted is how many messages were stored since the beginning.
func (p *Platform) Posted() int64 { return p.posted.Load() }

// stride takes customers in an order that is none of the advisors', and takes each once before
// the first again: it is a prime above any number of customers but its own multiples.
const stride = 1_000_003

func (p *Platform) openid() string {
	return p.openids[p.next.Add(1)*stride%int64(len(p.openids))]
}

// Saturate posts on every connection for a time, the next message as soon as one is stored, and
// answers how many were. They have the number -1.
func (p *Platform) Saturate(ctx context.Context, d time.Duration) (int64, error) {
	before := p.posted.Load()
	end := time.Now().Add(d)
	err := p.each(ctx, func(c *Callbacks) error {
		for time.Now().Before(end) && ctx.Err() == nil {
			if err := p.post(ctx, c, p.openid(), -1); err != nil {
				return err
			}
		}
		return nil
	})
	return p.posted.Load() - before, err
}

// Rounds posts n messages to each advisor, of one customer after the other.
func (p *Platform) Rounds(ctx context.Context, n int) error {
	var next atomic.Int64
	return p.each(ctx, func(c *Callbacks) error {
		for ctx.Err() == nil {
			i := int(next.Add(1) - 1)
			if i >= p.set.Advisors*n {
				return nil
			}
			advisor, round := i%p.set.Advisors, i/p.set.Advisors
			customer := advisor + round%p.set.share(advisor)*p.set.Advisors
			if err := p.post(ctx, c, p.openids[customer], -1); err != nil {
				return err
			}
		}
		return nil
	})
}

// Schedule posts n messages, numbered from 0, at instants that are fixed before the first, each on
// the connection that is free first. It answers when each was due and when it was answered, in
// Unix nanoseconds.
func (p *Platform) Schedule(ctx context.Context, n, rate int) (due, answered []int64, err error) {
	return p.schedule(ctx, n, rate, func(i int) int { return i })
}

// Steady is Schedule of messages with the number -1.
func (p *Platform) Steady(ctx context.Context, n, rate int) error {
	_, _, err := p.schedule(ctx, n, rate, func(int) int { return -1 })
	return err
}

func (p *Platform) schedule(ctx context.Context, n, rate int, number func(i int) int) (due, answered []int64, err error) {
	due, answered = make([]int64, n), make([]int64, n)
	work := make(chan int, n)
	go func() {
		defer close(work)
		Pace(ctx, n, rate, func(i int, at time.Time) {
			due[i] = at.UnixNano()
			work <- i
		})
	}()
	err = p.each(ctx, func(c *Callbacks) error {
		for i := range work {
			if err := p.post(ctx, c, p.openid(), number(i)); err != nil {
				return err
			}
			answered[i] = time.Now().UnixNano()
		}
		return nil
	})
	return due, answered, err
}

func (p *Platform) post(ctx context.Context, c *Callbacks, openid string, n int) error {
	err := c.Post(ctx, openid, n)
	if err == nil {
		p.posted.Add(1)
	}
	return err
}

func (p *Platform) each(ctx context.Context, f func(*Callbacks) error) error {
	errs := make([]error, len(p.connections))
	var wg sync.WaitGroup
	for i, c := range p.connections {
		wg.Go(func() { errs[i] = f(c) })
	}
	wg.Wait()
	return Summary(ctx, errs)
}

// Close drops the connections.
func (p *Platform) Close() (err error) {
	for _, c := range p.connections {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Pace calls f n times, rate times a second, at instants that are fixed before the first; ctx
// ends it early. It keeps the thread that it is on.
func Pace(ctx context.Context, n, rate int, f func(i int, due time.Time)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := time.Now().Add(100 * time.Millisecond)
	for i := range n {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
		SleepUntil(due)
		if ctx.Err() != nil {
			return
		}
		f(i, due)
	}
}
