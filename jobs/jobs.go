// Package jobs holds the work that nobody waits for: what leaves for the channels, and what has
// lapsed. All of it is found in tables, leased or decided under row locks, so that any node may
// do it and a node that dies loses nothing.
package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"clientele/limits"
	"clientele/services"
)

// Runner does this node's share.
type Runner struct {
	Services *services.Services
	Log      *slog.Logger
	// Workers is how many outbound queues are emptied at the same time; 0: limits.DeliveryWorkers.
	Workers int
	// Jobs is how many jobs are worked at, at the same time; 0: limits.JobWorkers; below 0: none.
	Jobs int
	// Poll is how often due queues are looked for that nobody woke it for; 0: limits.DeliveryPoll.
	Poll time.Duration
	// Sweep is how often what has lapsed is looked for; 0: limits.SweepInterval.
	Sweep time.Duration
	// Ask is how often it is looked for what is to be asked of platforms that nobody woke it for; 0: limits.ChannelWorkPoll.
	Ask time.Duration
	// Delivered is told what became of each message that was handed over, and why that could not be
	// recorded; nil: nobody is.
	Delivered func(done services.Handover, err error)
	// Hook is how often due webhooks are looked for that nobody woke it for; 0: limits.WebhookPoll.
	Hook time.Duration
	// WebhookCalled is told of each call of a receiver of a webhook; nil: nobody is.
	WebhookCalled func(services.WebhookCall)
}

// Run works until ctx ends and what is under way has been recorded.
func (r *Runner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { r.deliveries(ctx) })
	wg.Go(func() { r.every(ctx, "expired invitations", r.Services.ExpireInvitations) })
	wg.Go(func() { r.every(ctx, "lapsed apps", r.Services.SweepApps) })
	wg.Go(func() { r.every(ctx, "removed tags", r.Services.SweepTags) })
	wg.Go(func() { r.every(ctx, "erasures", r.Services.SweepErasures) })
	wg.Go(func() { r.every(ctx, "images nobody uses", r.Services.SweepImages) })
	wg.Go(func() { r.every(ctx, "who stopped following", r.Services.SweepUnfollowed) })
	wg.Go(func() { r.relay(ctx) })
	wg.Go(func() { r.jobs(ctx) })
	wg.Go(func() { r.channelWork(ctx) })
	wg.Go(func() { r.webhooks(ctx) })
	wg.Go(func() { r.retention(ctx) })
	wg.Wait()
}

// every runs one sweep each r.Sweep, again at once while it finds a full batch.
func (r *Runner) every(ctx context.Context, what string, sweep func(context.Context) (int, error)) {
	each := r.Sweep
	if each <= 0 {
		each = limits.SweepInterval
	}
	t := time.NewTicker(each)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		for n := limits.BatchRows; n == limits.BatchRows && ctx.Err() == nil; {
			var err error
			if n, err = sweep(ctx); err != nil {
				if ctx.Err() == nil {
					r.Log.WarnContext(ctx, "a sweep failed and is tried again", "sweep", what, "error", err)
				}
				break
			}
		}
	}
}
