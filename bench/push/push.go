// Package push measures how long an event that is committed takes to the clients.
package push

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"clientele/bench/rig"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags
	rig.Shape

	Subscribers int           `default:"10000" help:"Connections with a subscription, spread evenly over the advisors: each event goes to those of its advisor."`
	Connections int           `default:"64" help:"Keep-alive connections of the platform."`
	Rate        int           `default:"1000" help:"Events a second, due at fixed instants."`
	Warm        time.Duration `default:"5s" help:"Time of load before anything is measured."`
	Time        time.Duration `default:"20s" help:"Time that is measured."`
}

// Run measures and answers the line of figures. The time of a delivery begins when COMMIT has
// returned in the product, as a stamp beside its OnCommit says, and ends when the client has read
// the frame's last byte.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	r, err := rig.New(ctx, o.Flags, o.Shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l := rig.NewLine("push")
	n := int(o.Time.Seconds() * float64(o.Rate))
	size, err := product(ctx, r, o, n, l)
	if err != nil {
		return nil, err
	}
	p99 := l.Quantile("push", 0.99)
	if err := r.StopServer(); err != nil {
		return nil, err
	}
	if err := floor(ctx, r, o, n, size, l); err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	l.Add("ratio_p99", float64(p99)/float64(l.Quantile("floor", 0.99)))
	l.Add("rate", o.Rate).Add("subscribers", o.Subscribers).Add("advisors", o.Advisors)
	return l, r.AddMachine(ctx, l)
}

// times collects how long deliveries took, from many goroutines.
type times struct {
	of   []int64
	next atomic.Int64
}

func (t *times) add(d int64) {
	if i := t.next.Add(1) - 1; int(i) < len(t.of) {
		t.of[i] = d
	}
}

func (t *times) all() []int64 { return t.of[:min(int(t.next.Load()), len(t.of))] }

// product measures n events and answers the size of an event's text.
func product(ctx context.Context, r *rig.Rig, o Options, n int, l *rig.Line) (size int, err error) {
	stamps, err := rig.NewStamps(n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stamps.Close()) }()
	if err := r.StartServer(ctx, stamps); err != nil {
		return 0, err
	}
	r.Tell("connecting %d subscribers", o.Subscribers)
	share := (o.Subscribers + o.Advisors - 1) / o.Advisors
	took := &times{of: make([]int64, n*share)}
	var unstamped, bytes atomic.Int64
	apps, err := r.OpenSubscribers(ctx, o.Subscribers, 0, func(_ int, text []byte, at time.Time) {
		i := rig.Number(text)
		if i < 0 || i >= n {
			return
		}
		committed := stamps.At(i)
		if committed == 0 {
			unstamped.Add(1)
			return
		}
		bytes.Store(int64(len(text)))
		took.add(at.UnixNano() - committed)
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, apps.Close()) }()
	p := r.NewPlatform(o.Connections)
	defer func() { err = errors.Join(err, p.Close()) }()
	r.Tell("warming up for %s", o.Warm)
	if err := p.Steady(ctx, int(o.Warm.Seconds()*float64(o.Rate)), o.Rate); err != nil {
		return 0, err
	}
	// An event of an advisor counts as often as the advisor has subscribers.
	if err := settle(ctx, apps); err != nil {
		return 0, err
	}
	r.Tell("%d events a second for %s", o.Rate, o.Time)
	stop := r.StartProfile(ctx, "push", o.Time)
	before := apps.Count()
	usage := r.StartUsage()
	due, answered, err := p.Schedule(ctx, n, o.Rate)
	if err != nil {
		return 0, err
	}
	if err := usage.Stop(l, "push"); err != nil {
		return 0, err
	}
	if err := errors.Join(stop(), settle(ctx, apps)); err != nil {
		return 0, err
	}
	if came, least := apps.Count()-before, int64(n)*int64(o.Subscribers/o.Advisors); came < least {
		return 0, errors.Join(fmt.Errorf("%d events came, at least %d were due", came, least), apps.Err())
	}
	for i := range due {
		answered[i] -= due[i]
	}
	if u := unstamped.Load(); u > 0 {
		return 0, fmt.Errorf("%d events were pushed before their COMMIT had returned", u)
	}
	l.AddQuantiles("push", took.all()).Add("deliveries", apps.Count()-before).AddQuantiles("answer", answered)
	return int(bytes.Load()), nil
}

// settle returns when nothing has arrived for a while: an advisor may have one subscriber more than
// another, so that the number to come is not known.
func settle(ctx context.Context, apps *rig.Subscribers) error {
	last, since := apps.Count(), time.Now()
	return rig.Await(ctx, "the last push", func() (bool, error) {
		if now := apps.Count(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > time.Second, nil
	})
}

// floor writes as many frames of the same size to as many connections in a bare loop.
func floor(ctx context.Context, r *rig.Rig, o Options, n, size int, l *rig.Line) (err error) {
	stamps, err := rig.NewStamps(n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stamps.Close()) }()
	bare, err := rig.StartBare(ctx, stamps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	r.Tell("floor: %d frames a second for %s", o.Rate, o.Time)
	share := (o.Subscribers + o.Advisors - 1) / o.Advisors
	took := &times{of: make([]int64, n*share)}
	clients, err := rig.OpenBare(ctx, bare.Addr, o.Subscribers, o.Advisors, func(text []byte, at time.Time) {
		if i := rig.Number(text); i >= 0 && i < n {
			took.add(at.UnixNano() - stamps.At(i))
		}
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clients.Close()) }()
	if err := bare.Write(n, o.Rate, o.Advisors, size); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, 2*o.Time+time.Minute)
	defer cancel()
	want := deliveries(n, o.Subscribers, o.Advisors)
	if err := rig.Await(waiting, "the frames of the floor", func() (bool, error) { return clients.Count() >= want, nil }); err != nil {
		return err
	}
	l.AddQuantiles("floor", took.all())
	return nil
}

// deliveries is how many frames n events make, event i going to the group i modulo groups.
func deliveries(n, subscribers, groups int) (sum int64) {
	for g := range groups {
		sum += int64((n+groups-1-g)/groups) * int64((subscribers+groups-1-g)/groups)
	}
	return sum
}
