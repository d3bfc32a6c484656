package jobs

import (
	"context"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// channelWork asks platforms for what waits, limits.ChannelWorkers accounts at a time, until ctx ends and what they answered is recorded.
func (r *Runner) channelWork(ctx context.Context) {
	each := r.Ask
	if each == 0 {
		each = limits.ChannelWorkPoll
	}
	turns(ctx, r.Log, "what is to be asked of platforms", limits.ChannelWorkers, each, r.Services.ChannelWorkQueued(), r.Services.ClaimChannelWork, r.askChannel)
}

// askChannel has a turn at one account's.
func (r *Runner) askChannel(ctx context.Context, w *models.ChannelWork) {
	err := r.Services.WorkChannel(ctx, w)
	if err == nil || errors.Is(err, services.ErrWorkLost) || errors.Is(err, services.ErrNoSecret) || ctx.Err() != nil {
		return
	}
	r.Log.WarnContext(ctx, "a platform did not do what it was asked and is asked again", "api", string(w.API), "account", w.AccountID.String(), "error", err)
}
