package jobs

import (
	"context"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// jobs works at jobs that are due, r.Jobs at a time, until ctx ends and the chunks under way have been
// committed.
func (r *Runner) jobs(ctx context.Context) {
	workers := r.Jobs
	if workers == 0 {
		workers = limits.JobWorkers
	}
	if workers < 0 {
		return
	}
	turns(ctx, r.Log, "jobs", workers, limits.JobPoll, r.Services.JobQueued(), r.Services.ClaimJobs, r.job)
}

// job has a turn at a job.
func (r *Runner) job(ctx context.Context, j *models.Job) {
	attrs := []any{"job", j.Key.String(), "kind", string(j.Kind), "account", j.AccountID.String()}
	for range limits.JobTurn {
		next, err := r.Services.StepJob(ctx, j)
		if errors.Is(err, services.ErrJobLost) || errors.Is(err, services.ErrJobRests) {
			return
		}
		if err != nil {
			r.Log.WarnContext(ctx, "a part of a job failed and is tried again", append(attrs, "error", err)...)
			return
		}
		if j = next; j.IsEnded() {
			r.Log.InfoContext(ctx, "a job ended", append(attrs, "state", string(j.State), "items", j.Done)...)
			return
		}
		if ctx.Err() != nil {
			break
		}
	}
	// Given back also while the process stops, so that another need not wait for the lease to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.OperationTime)
	defer cancel()
	if err := r.Services.ReleaseJob(ctx, j); err != nil {
		r.Log.WarnContext(ctx, "a job was not given back and waits for its lease to end", append(attrs, "error", err)...)
	}
}
