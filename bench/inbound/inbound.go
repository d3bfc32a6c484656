// Package inbound measures how fast messages come in: posted by the platform, stored, counted, and
// pushed to the advisor's app.
package inbound

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"clientele/bench/rig"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags
	rig.Shape

	Connections int           `default:"64" help:"Keep-alive connections of the platform."`
	Warm        time.Duration `default:"3s" help:"Time of load before anything is measured."`
	Saturated   time.Duration `default:"15s" help:"Time of the closed loop: each connection posts as soon as it is answered."`
	Rate        int           `default:"1000" help:"Messages a second of the open loop."`
	Open        time.Duration `default:"20s" help:"Time of the open loop, whose messages are due at fixed instants."`
	Floor       time.Duration `default:"10s" help:"Time of the floor: hand-written SQL that writes the same rows."`
	FloorLanes  int           `default:"4" help:"Transactions of the floor at the same time."`
	FloorBatch  int           `default:"100" help:"Messages of one transaction of the floor."`
}

// Document is what an advisor's app subscribes to.
const Document = `subscription($after: String) { messages(after: $after) { __typename
	... on MessageReceived { sequence message { id sentAt content { ... on TextContent { text } } } conversation { id unreadCount } }
	... on MessageStatusChanged { sequence message { id status } }
	... on ConversationChanged { sequence conversation { id unreadCount } }
	... on CustomerLeft { sequence customerId } } }`

// lastPush is how long the last push may take to arrive after the last answer.
const lastPush = 30 * time.Second

// Run measures and answers the line of figures.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	r, err := rig.New(ctx, o.Flags, o.Shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.StartServer(ctx); err != nil {
		return nil, err
	}
	l := rig.NewLine("inbound")
	perSecond, err := measure(ctx, r, o, l)
	if err != nil {
		return nil, err
	}
	// The floor has the machine for itself.
	if err := r.StopServer(); err != nil {
		return nil, err
	}
	r.Tell("floor: %d lanes of %d for %s", o.FloorLanes, o.FloorBatch, o.Floor)
	usage := r.StartUsage()
	rate, err := floor(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	l.Add("floor_per_s", rate).Add("ratio", perSecond/rate)
	if err := usage.Stop(l, "floor"); err != nil {
		return nil, err
	}
	l.Add("advisors", o.Advisors).Add("customers", o.Customers).Add("messages", o.Messages).Add("connections", o.Connections)
	return l, r.AddMachine(ctx, l)
}

// measure runs both loops, and answers how many messages a second were pushed in the closed one.
func measure(ctx context.Context, r *rig.Rig, o Options, l *rig.Line) (perSecond float64, err error) {
	a := &apps{pushed: make([]atomic.Int64, o.Rate*int(o.Open/time.Second+1))}
	defer func() { err = errors.Join(err, a.close()) }()
	r.Tell("subscribing %d advisors", o.Advisors)
	if err := a.open(ctx, r); err != nil {
		return 0, err
	}
	p := &platform{openids: make([]string, o.Customers)}
	for i := range p.openids {
		p.openids[i] = rig.CustomerOpenID(i)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for range o.Connections {
		c, err := r.DialCallbacks(ctx)
		if err != nil {
			return 0, err
		}
		p.connections = append(p.connections, c)
	}
	r.Tell("warming up for %s", o.Warm)
	if _, err := p.saturate(ctx, o.Warm); err != nil {
		return 0, err
	}
	if err := a.await(ctx, p.posted.Load()); err != nil {
		return 0, err
	}
	if perSecond, err = saturated(ctx, r, o, a, p, l); err != nil {
		return 0, err
	}
	return perSecond, scheduled(ctx, r, o, a, p, l)
}

// saturated is the closed loop. Its time ends when the last push has arrived.
func saturated(ctx context.Context, r *rig.Rig, o Options, a *apps, p *platform, l *rig.Line) (float64, error) {
	r.Tell("closed loop for %s", o.Saturated)
	stop, err := r.StartProfile("inbound")
	if err != nil {
		return 0, err
	}
	before := a.count.Load()
	usage := r.StartUsage()
	began := time.Now()
	n, err := p.saturate(ctx, o.Saturated)
	if err != nil {
		return 0, err
	}
	stored := time.Since(began)
	if err := a.await(ctx, p.posted.Load()); err != nil {
		return 0, err
	}
	pushed := time.Since(began)
	perSecond := float64(n) / pushed.Seconds()
	l.Add("per_s", perSecond).Add("stored_per_s", float64(n)/stored.Seconds()).Add("pushed", a.count.Load()-before).Add("stored", n)
	if err := usage.Stop(l, "saturated"); err != nil {
		return 0, err
	}
	return perSecond, stop()
}

// scheduled is the open loop: times count from the instant a message was due, whatever kept it.
func scheduled(ctx context.Context, r *rig.Rig, o Options, a *apps, p *platform, l *rig.Line) error {
	r.Tell("open loop of %d/s for %s", o.Rate, o.Open)
	n := int(o.Open.Seconds() * float64(o.Rate))
	due, answered, err := p.schedule(ctx, n, o.Rate)
	if err != nil {
		return err
	}
	if err := a.await(ctx, p.posted.Load()); err != nil {
		return err
	}
	stored, pushed := make([]int64, n), make([]int64, n)
	for i := range n {
		stored[i] = answered[i] - due[i]
		if pushed[i] = a.pushed[i].Load() - due[i]; pushed[i] < 0 {
			return fmt.Errorf("the push of message %d was not seen", i)
		}
	}
	l.Add("rate", o.Rate).AddQuantiles("answer", stored).AddQuantiles("push", pushed)
	return nil
}

// platform posts on its connections.
type platform struct {
	connections []*rig.Callbacks
	openids     []string
	next        atomic.Int64
	posted      atomic.Int64
}

// stride takes customers in an order that is none of the advisors', and takes each once before
// the first again: it is a prime above any number of customers but its own multiples.
const stride = 1_000_003

func (p *platform) openid() string {
	return p.openids[p.next.Add(1)*stride%int64(len(p.openids))]
}

// saturate posts on every connection for a time and answers how many were stored.
func (p *platform) saturate(ctx context.Context, d time.Duration) (int64, error) {
	before := p.posted.Load()
	end := time.Now().Add(d)
	err := p.each(func(c *rig.Callbacks) error {
		for time.Now().Before(end) && ctx.Err() == nil {
			if err := c.Post(p.openid(), -1); err != nil {
				return err
			}
			p.posted.Add(1)
		}
		return ctx.Err()
	})
	return p.posted.Load() - before, err
}

// schedule posts n messages at instants that are fixed before the first, each on the connection
// that is free first, and answers when each was due and answered.
func (p *platform) schedule(ctx context.Context, n, rate int) (due, answered []int64, err error) {
	due, answered = make([]int64, n), make([]int64, n)
	work := make(chan int, n)
	begin := time.Now().Add(100 * time.Millisecond)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(work)
		for i := range n {
			at := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
			rig.SleepUntil(at)
			if ctx.Err() != nil {
				return
			}
			due[i] = at.UnixNano()
			work <- i
		}
	}()
	err = p.each(func(c *rig.Callbacks) error {
		for i := range work {
			if err := c.Post(p.openid(), i); err != nil {
				return err
			}
			answered[i] = time.Now().UnixNano()
			p.posted.Add(1)
		}
		return ctx.Err()
	})
	return due, answered, err
}

func (p *platform) each(f func(*rig.Callbacks) error) error {
	errs := make([]error, len(p.connections))
	var wg sync.WaitGroup
	for i, c := range p.connections {
		wg.Go(func() { errs[i] = f(c) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *platform) close() (err error) {
	for _, c := range p.connections {
		err = errors.Join(err, c.Close())
	}
	return err
}

// apps are the advisors' apps: each has one connection with one subscription.
type apps struct {
	sockets []*rig.Socket
	wg      sync.WaitGroup
	count   atomic.Int64
	// pushed is when the message of each number arrived.
	pushed []atomic.Int64
	failed atomic.Pointer[error]
	closed atomic.Bool
}

func (a *apps) open(ctx context.Context, r *rig.Rig) error {
	sockets, err := rig.DialAdvisors(ctx, r, r.Set.Advisors)
	a.sockets = sockets
	if err != nil {
		return err
	}
	for _, s := range sockets {
		if err := s.Subscribe(Document, nil); err != nil {
			return err
		}
		a.wg.Go(func() { a.read(s) })
	}
	// A subscription begins when the server has parked it; nothing tells the client.
	return rig.Await(ctx, "subscriptions", func() (bool, error) {
		m, err := r.Metrics(ctx)
		return int(m["clientele_subscriptions"]) >= len(sockets), err
	})
}

func (a *apps) read(s *rig.Socket) {
	for {
		text, err := s.Next()
		if err == nil && !rig.IsNext(text) {
			err = fmt.Errorf("a subscriber received %s", text)
		}
		if err != nil {
			if !a.closed.Load() {
				a.failed.CompareAndSwap(nil, &err)
			}
			return
		}
		if n := rig.Number(text); n >= 0 && n < len(a.pushed) {
			a.pushed[n].Store(time.Now().UnixNano())
		}
		a.count.Add(1)
	}
}

// await returns when n pushes have arrived since the beginning.
func (a *apps) await(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, lastPush)
	defer cancel()
	return rig.Await(ctx, "pushes "+strconv.FormatInt(n, 10), func() (bool, error) {
		if failed := a.failed.Load(); failed != nil {
			return false, *failed
		}
		return a.count.Load() >= n, nil
	})
}

func (a *apps) close() (err error) {
	a.closed.Store(true)
	for _, s := range a.sockets {
		err = errors.Join(err, s.Close())
	}
	a.wg.Wait()
	return err
}
