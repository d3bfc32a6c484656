package jobs

import (
	"context"
	"time"

	"clientele/limits"
)

// relay gives events of accounts their numbers, whenever this node wrote some, and again and again for
// what others wrote and did not come to.
func (r *Runner) relay(ctx context.Context) {
	t := time.NewTicker(limits.RelayPoll)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-r.Services.EventsWaiting():
		case <-ctx.Done():
			return
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = r.Services.RelayEvents(ctx); err != nil && ctx.Err() == nil {
				r.Log.WarnContext(ctx, "events of an account wait longer for their numbers", "error", err)
				break
			}
		}
	}
}
