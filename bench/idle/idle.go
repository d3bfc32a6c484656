// Package idle measures the memory of a client that is connected and subscribed and receives
// nothing.
package idle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"clientele/bench/rig"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags
	rig.Shape

	Subscribers int           `default:"10000" help:"Connections with a subscription to messages, spread evenly over the advisors."`
	Ramp        int           `default:"500" help:"Connects a second; 0: all at once, which leaves a heap as large as the storm was."`
	Settle      time.Duration `default:"30s" help:"Time between the last connect and the measurement."`
	Before      time.Duration `default:"10s" help:"Time between the product's start and the first measurement."`
}

// Run measures and answers the line of figures.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	r, err := rig.New(ctx, o.Flags, o.Shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l := rig.NewLine("idle")
	each, err := product(ctx, r, o, l)
	if err != nil {
		return nil, err
	}
	if err := r.StopServer(); err != nil {
		return nil, err
	}
	bare, err := floor(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	l.Add("floor_kib_each", bare).Add("ratio", each/bare).Add("subscribers", o.Subscribers).Add("advisors", o.Advisors)
	return l, r.AddMachine(ctx, l)
}

// state is what a process keeps.
type state struct {
	pss     int64
	live    float64
	figures map[string]float64
}

func observe(ctx context.Context, r *rig.Rig) (s state, err error) {
	// The memory first: to answer for its figures the product needs some.
	if s.pss, err = rig.PSS(r.Server.PID()); err != nil {
		return s, err
	}
	s.figures, err = r.Metrics(ctx)
	s.live = rig.LiveHeap(s.figures)
	return s, err
}

// product answers the KiB of a subscriber.
func product(ctx context.Context, r *rig.Rig, o Options, l *rig.Line) (each float64, err error) {
	if err := r.StartServer(ctx, nil); err != nil {
		return 0, err
	}
	if err := rig.Sleep(ctx, o.Before); err != nil {
		return 0, err
	}
	before, err := observe(ctx, r)
	if err != nil {
		return 0, err
	}
	r.Tell("connecting %d subscribers", o.Subscribers)
	began := time.Now()
	apps, err := r.OpenSubscribers(ctx, o.Subscribers, o.Ramp, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, apps.Close()) }()
	took := time.Since(began)
	stop := r.StartProfile(ctx, "idle", o.Settle)
	r.Tell("waiting for %s", o.Settle)
	if err := rig.Sleep(ctx, o.Settle); err != nil {
		return 0, err
	}
	after, err := observe(ctx, r)
	if err != nil {
		return 0, err
	}
	if apps.Count() > 0 {
		return 0, fmt.Errorf("%d events arrived: nobody was idle", apps.Count())
	}
	if err := apps.Err(); err != nil {
		return 0, err
	}
	n := float64(o.Subscribers)
	each = float64(after.pss-before.pss) / 1024 / n
	grown := func(name string) float64 { return after.figures[name] - before.figures[name] }
	l.Add("kib_each", each).
		Add("goroutines_each", grown("go_goroutines")/n).
		Add("heap_kib_each", grown("go_memstats_heap_inuse_bytes")/1024/n).
		Add("stack_kib_each", grown("go_memstats_stack_inuse_bytes")/1024/n).
		Add("heap_idle_kib_each", (grown("go_memstats_heap_idle_bytes")-grown("go_memstats_heap_released_bytes"))/1024/n).
		Add("live_kib_each", (after.live-before.live)/1024/n).Add("pss_mib", float64(after.pss)/(1<<20)).Add("connect_s", took.Seconds()).Add("ramp", o.Ramp)
	return each, stop()
}

// floor is what a bare server keeps for a connection: a goroutine with a stack of 4 KiB.
func floor(ctx context.Context, r *rig.Rig, o Options) (each float64, err error) {
	bare, err := rig.StartBare(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	before, err := rig.PSS(bare.PID())
	if err != nil {
		return 0, err
	}
	r.Tell("floor: %d bare connections for %s", o.Subscribers, o.Settle)
	clients, err := rig.OpenBare(ctx, bare.Addr, o.Subscribers, o.Advisors, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, clients.Close()) }()
	if err := rig.Sleep(ctx, o.Settle); err != nil {
		return 0, err
	}
	after, err := rig.PSS(bare.PID())
	return float64(after-before) / 1024 / float64(o.Subscribers), err
}
