// Package soak lets clients come and go for a long time, under traffic, and measures what stays
// behind.
package soak

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"clientele/bench/rig"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags
	rig.Shape

	Time        time.Duration `default:"10m" help:"Time of all rounds together."`
	Round       time.Duration `default:"20s" help:"Time of connects, disconnects and traffic before everybody leaves and it is measured what stays."`
	Clients     int           `default:"500" help:"Clients at the same time."`
	Stay        time.Duration `default:"2s" help:"How long a client stays at most; each stays another time."`
	Connections int           `default:"16" help:"Keep-alive connections of the platform."`
	Rate        int           `default:"200" help:"Messages a second."`
}

// sample is what the product keeps while nobody is there.
type sample struct {
	at                           time.Duration
	goroutines, live, inUse, pss float64
}

// Run measures and answers the line of figures. The first round is not counted: it fills what the
// product keeps for good.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	r, err := rig.New(ctx, o.Flags, o.Shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.StartServer(ctx, nil); err != nil {
		return nil, err
	}
	p := r.NewPlatform(o.Connections)
	defer func() { err = errors.Join(err, p.Close()) }()
	tokens, err := r.AdvisorTokens(o.Advisors)
	if err != nil {
		return nil, err
	}
	c := &crowd{r: r, o: o, tokens: tokens}
	var samples []sample
	began := time.Now()
	rounds := max(3, int(o.Time/o.Round)) // one to fill, and two to compare
	stop := r.StartProfile(ctx, "soak", o.Round)
	for i := range rounds {
		if err := c.round(ctx, p); err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		s, err := quiet(ctx, r, time.Since(began))
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		r.Tell("round %d of %d: %.0f goroutines, %.2f MiB live, %.2f MiB in use, %.2f MiB PSS", i+1, rounds, s.goroutines, s.live, s.inUse, s.pss)
		samples = append(samples, s)
	}
	if err := stop(); err != nil {
		return nil, err
	}
	l := rig.NewLine("soak").Add("minutes", time.Since(began).Minutes()).Add("connects", c.connects.Load()).
		Add("events", c.events.Load()).Add("posted", p.Posted())
	for _, figure := range []struct {
		name string
		of   func(sample) float64
	}{
		{"goroutines", func(s sample) float64 { return s.goroutines }},
		{"live_mib", func(s sample) float64 { return s.live }},
		{"heap_mib", func(s sample) float64 { return s.inUse }},
		{"pss_mib", func(s sample) float64 { return s.pss }},
	} {
		first, last, slope := trend(samples[1:], figure.of)
		l.Add(figure.name+"_first", first).Add(figure.name+"_last", last).Add(figure.name+"_per_min", slope)
		if figure.name == "goroutines" || figure.name == "live_mib" {
			l.Add(figure.name+"_ratio", last/first)
		}
	}
	l.Add("clients", o.Clients).Add("rate", o.Rate).Add("rounds", rounds)
	return l, r.AddMachine(ctx, l)
}

// crowd is clients that come and go.
type crowd struct {
	r                *rig.Rig
	o                Options
	tokens           []string
	next             atomic.Int64
	connects, events atomic.Int64
}

// round is traffic with clients coming and going beside it; at its end they have all gone.
func (c *crowd) round(ctx context.Context, p *rig.Platform) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Round+time.Minute)
	defer cancel()
	end := time.Now().Add(c.o.Round)
	errs := make([]error, c.o.Clients+1)
	var wg sync.WaitGroup
	wg.Go(func() { errs[c.o.Clients] = p.Steady(ctx, int(c.o.Round.Seconds()*float64(c.o.Rate)), c.o.Rate) })
	for i := range c.o.Clients {
		wg.Go(func() {
			for errs[i] == nil && time.Now().Before(end) && ctx.Err() == nil {
				errs[i] = c.visit(ctx, end)
			}
		})
	}
	wg.Wait()
	return rig.Summary(ctx, errs)
}

// visit is one client: it comes, subscribes, stays a while, and leaves in one of three ways.
func (c *crowd) visit(ctx context.Context, end time.Time) error {
	n := int(c.next.Add(1))
	s, err := rig.Dial(ctx, c.r.Server.Addr, rig.Source(n), c.tokens[n%len(c.tokens)])
	if err != nil {
		return err
	}
	c.connects.Add(1)
	stay := c.o.Stay * time.Duration(1+n*37%100) / 100
	leave := time.Now().Add(stay)
	if end.Before(leave) {
		leave = end
	}
	err = errors.Join(s.Subscribe(rig.Document, nil), s.SetDeadline(leave))
	for err == nil {
		var text []byte
		if text, err = s.Next(); err == nil && !rig.IsNext(text) {
			err = fmt.Errorf("a client received %s", text)
		}
		if err == nil {
			c.events.Add(1)
		}
	}
	if rig.IsTimeout(err) {
		err = nil // its time was over
	}
	switch n % 3 {
	case 0: // as a browser that is closed
		err = errors.Join(err, s.Leave())
	case 1: // as an app that ends its subscription first
		err = errors.Join(err, s.Send(`{"id":"1","type":"complete"}`), s.Leave())
	default: // as a phone in a tunnel
	}
	return errors.Join(err, s.Close())
}

// quiet waits until the product has missed everybody, and measures.
func quiet(ctx context.Context, r *rig.Rig, at time.Duration) (sample, error) {
	s := sample{at: at}
	err := rig.Await(ctx, "the product to miss its clients", func() (bool, error) {
		m, err := r.Metrics(ctx)
		return m["clientele_websockets"] == 0 && m["clientele_subscriptions"] == 0, err
	})
	if err != nil {
		return s, err
	}
	// What ends with a connection ends a moment after it is counted out: the least of a second.
	const looks, between = 10, 100 * time.Millisecond
	for i := range looks {
		m, err := r.Metrics(ctx)
		if err != nil {
			return s, err
		}
		const mib = 1 << 20
		if g := m["go_goroutines"]; i == 0 || g < s.goroutines {
			s.goroutines = g
		}
		s.live, s.inUse = rig.LiveHeap(m)/mib, m["go_memstats_heap_inuse_bytes"]/mib
		if err := rig.Sleep(ctx, between); err != nil {
			return s, err
		}
	}
	pss, err := rig.PSS(r.Server.PID())
	s.pss = float64(pss) / (1 << 20)
	return s, err
}

// trend is the median of the first and of the last third, and the slope of the straight line
// nearest to all, a minute.
func trend(samples []sample, of func(sample) float64) (first, last, perMinute float64) {
	third := (len(samples) + 2) / 3
	first, last = median(samples[:third], of), median(samples[len(samples)-third:], of)
	var sx, sy, sxx, sxy float64
	n := float64(len(samples))
	for _, s := range samples {
		x, y := s.at.Minutes(), of(s)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; d > 0 {
		perMinute = (n*sxy - sx*sy) / d
	}
	return first, last, perMinute
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
