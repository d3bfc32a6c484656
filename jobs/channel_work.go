package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// channelWork asks platforms for what waits, limits.ChannelWorkers accounts at a time, until ctx ends and what they answered is recorded.
func (r *Runner) channelWork(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	freed := make(chan struct{}, limits.ChannelWorkers)
	free := limits.ChannelWorkers
	each := r.Ask
	if each == 0 {
		each = limits.ChannelWorkPoll
	}
	t := time.NewTicker(each)
	defer t.Stop()
	for {
		claimed, err := r.Services.ClaimChannelWork(ctx, free)
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "what is to be asked of platforms could not be looked for", "error", err)
		}
		for _, w := range claimed {
			free--
			wg.Go(func() {
				r.askChannel(ctx, w)
				freed <- struct{}{}
			})
		}
		select {
		case <-t.C:
		case <-r.Services.ChannelWorkQueued():
		case <-freed:
			free++
		case <-ctx.Done():
			return
		}
	}
}

// askChannel has a turn at one account's.
func (r *Runner) askChannel(ctx context.Context, w *models.ChannelWork) {
	err := r.Services.WorkChannel(ctx, w)
	if err == nil || errors.Is(err, services.ErrWorkLost) || errors.Is(err, services.ErrNoSecret) || ctx.Err() != nil {
		return
	}
	r.Log.WarnContext(ctx, "a platform did not do what it was asked and is asked again", "api", string(w.API), "account", w.AccountID.String(), "error", err)
}
