// Package inbound measures how fast messages come in: posted by the platform, stored, counted, and
// pushed to the advisor's app.
package inbound

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

	Connections int           `default:"64" help:"Keep-alive connections of the platform."`
	Warm        time.Duration `default:"3s" help:"Time of load before anything is measured."`
	Saturated   time.Duration `default:"15s" help:"Time of the closed loop: each connection posts as soon as it is answered."`
	Rate        int           `default:"1000" help:"Messages a second of the open loop."`
	Open        time.Duration `default:"20s" help:"Time of the open loop, whose messages are due at fixed instants."`
	Floor       time.Duration `default:"10s" help:"Time of the floor: hand-written SQL that writes the same rows."`
	FloorLanes  int           `default:"4" help:"Transactions of the floor at the same time."`
	FloorBatch  int           `default:"100" help:"Messages of one transaction of the floor."`
}

// Run measures and answers the line of figures.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	r, err := rig.New(ctx, o.Flags, o.Shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.StartServer(ctx, nil); err != nil {
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
	r.Tell("subscribing %d advisors", o.Advisors)
	// When the message of each number arrived.
	arrived := make([]atomic.Int64, int(o.Open.Seconds()*float64(o.Rate)))
	apps, err := r.OpenSubscribers(ctx, o.Advisors, 0, func(_ int, text []byte, at time.Time) {
		if n := rig.Number(text); n >= 0 && n < len(arrived) {
			arrived[n].Store(at.UnixNano())
		}
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, apps.Close()) }()
	p := r.NewPlatform(o.Connections)
	defer func() { err = errors.Join(err, p.Close()) }()
	r.Tell("warming up for %s", o.Warm)
	if _, err := p.Saturate(ctx, o.Warm); err != nil {
		return 0, err
	}
	if err := apps.Await(ctx, p.Posted()); err != nil {
		return 0, err
	}
	if perSecond, err = saturated(ctx, r, o, apps, p, l); err != nil {
		return 0, err
	}
	r.Tell("open loop of %d/s for %s", o.Rate, o.Open)
	due, answered, err := p.Schedule(ctx, len(arrived), o.Rate)
	if err != nil {
		return 0, err
	}
	if err := apps.Await(ctx, p.Posted()); err != nil {
		return 0, err
	}
	return perSecond, scheduled(o, due, answered, arrived, l)
}

// saturated is the closed loop. Its time ends when the last push has arrived.
func saturated(ctx context.Context, r *rig.Rig, o Options, apps *rig.Subscribers, p *rig.Platform, l *rig.Line) (float64, error) {
	r.Tell("closed loop for %s", o.Saturated)
	stop := r.StartProfile(ctx, "inbound", o.Saturated)
	before := apps.Count()
	usage := r.StartUsage()
	began := time.Now()
	n, err := p.Saturate(ctx, o.Saturated)
	if err != nil {
		return 0, err
	}
	stored := time.Since(began)
	if err := apps.Await(ctx, p.Posted()); err != nil {
		return 0, err
	}
	perSecond := float64(n) / time.Since(began).Seconds()
	l.Add("per_s", perSecond).Add("stored_per_s", float64(n)/stored.Seconds()).Add("stored", n).Add("pushed", apps.Count()-before)
	if err := usage.Stop(l, "saturated"); err != nil {
		return 0, err
	}
	return perSecond, stop()
}

// scheduled is the open loop: times count from the instant a message was due, whatever kept it.
func scheduled(o Options, due, answered []int64, arrived []atomic.Int64, l *rig.Line) error {
	pushed := make([]int64, len(due))
	for i := range due {
		answered[i] -= due[i]
		at := arrived[i].Load()
		if at == 0 {
			return fmt.Errorf("the push of message %d was not seen", i)
		}
		pushed[i] = at - due[i]
	}
	l.Add("rate", o.Rate).AddQuantiles("answer", answered).AddQuantiles("push", pushed)
	return nil
}
