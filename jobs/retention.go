package jobs

import (
	"context"
	"time"

	"clientele/limits"
)

// retention deletes what is too old, whenever a pass is due that no other node makes.
func (r *Runner) retention(ctx context.Context) {
	t := time.NewTicker(limits.RetentionPoll)
	defer t.Stop()
	for {
		r.retain(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Runner) retain(ctx context.Context) {
	done, err := r.Services.Retain(ctx, rest)
	if !done.IsZero() {
		r.Log.InfoContext(ctx, "old rows deleted", "events", done.Events, "messages", done.Messages, "idempotency", done.Idempotency,
			"inbound", done.Inbound, "revocations", done.Revocations, "jobs", done.Jobs, "imports", done.Imports, "codes", done.QRCodes,
			"tickets", done.Tickets, "dead_letters", done.DeadLetters, "secrets", done.Secrets)
	}
	if err != nil && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "old rows are left until the next pass", "error", err)
	}
}

// rest lets others work between two deletions.
func rest(ctx context.Context) error {
	t := time.NewTimer(limits.RetentionPause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
