package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *jobResolver) IsResting(ctx context.Context, obj *models.Job) (bool, error) {
	return r.r.Services.JobRests(ctx, obj)
}

func (r *jobResolver) FailedItems(ctx context.Context, obj *models.Job, first *int, after *string) (*models.JobItemConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.JobItemPage(ctx, obj, p)
	if err == nil && below(ctx)["customer"] {
		err = r.r.customersOf(ctx, below(ctx), keysOf(rows, func(i *models.JobItem) models.Key { return i.TargetID }))
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.JobItem, models.JobItemEdge](rows, p, func(i *models.JobItem) relay.Keyset {
		return relay.Keyset{Sort: i.No}
	}), nil
}

func (r *jobResolver) EventCursor(ctx context.Context, obj *models.Job) (*string, error) {
	cursor, err := r.r.Services.JobCursor(ctx, obj)
	if err != nil || cursor == "" {
		return nil, err
	}
	return &cursor, nil
}

func (r *jobItemResolver) Customer(ctx context.Context, obj *models.JobItem) (*models.Customer, error) {
	return loaders(ctx).Customer(ctx, obj.TargetID)
}

func (r *mutationResolver) CancelJob(ctx context.Context, input graph.CancelJobInput) (*graph.CancelJobPayload, error) {
	id, err := key(input.JobID, models.KindJob, "input.jobId")
	if err != nil {
		return nil, err
	}
	j, err := r.r.Services.CancelJob(ctx, id)
	if err != nil {
		return nil, err
	}
	return &graph.CancelJobPayload{Job: j}, nil
}

func (r *queryResolver) Job(ctx context.Context, jobID relay.ID) (*models.Job, error) {
	id, err := key(jobID, models.KindJob, "jobId")
	if err != nil {
		return nil, err
	}
	return r.r.Services.Job(ctx, id)
}

func (r *queryResolver) Jobs(ctx context.Context, first *int, after *string, filter *graph.JobFilter) (*models.JobConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	var f services.JobFilter
	if filter != nil {
		f.State, f.Kind = filter.State, filter.Kind
	}
	rows, err := r.r.Services.JobPage(ctx, f, p)
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Job, models.JobEdge](rows, p, func(j *models.Job) relay.Keyset {
		return relay.Keyset{Key: j.Key}
	}), nil
}

func (r *subscriptionResolver) JobChanges(ctx context.Context, jobID relay.ID, after *string) (<-chan models.JobEvent, error) {
	return stream[models.JobEvent](ctx, after, func(ctx context.Context, after *string) (*services.Watch, error) {
		id, err := key(jobID, models.KindJob, "jobId")
		if err != nil {
			return nil, err
		}
		return r.r.Services.WatchJob(ctx, id, after)
	})
}

func (r *Resolver) Job() graph.JobResolver { return &jobResolver{r} }

func (r *Resolver) JobItem() graph.JobItemResolver { return &jobItemResolver{r} }

type (
	jobResolver     struct{ r *Resolver }
	jobItemResolver struct{ r *Resolver }
)
