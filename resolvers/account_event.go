package resolvers

import (
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *queryResolver) AccountEvents(ctx context.Context, first *int, after *string, kinds []models.AccountEventKind) (*models.AccountEventFeed, error) {
	p, err := r.r.page(first, nil, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	feed, err := r.r.Services.AccountEvents(ctx, kinds, after, p.First)
	if err == nil {
		err = ofFeed(ctx, r.r, feed.Feed)
	}
	if err != nil {
		return nil, err
	}
	return feed, nil
}

func (r *subscriptionResolver) AccountEvents(ctx context.Context, after *string, kinds []models.AccountEventKind) (<-chan models.PushedAccountEvent, error) {
	return stream[models.PushedAccountEvent](ctx, after, func(ctx context.Context, after *string) (*services.Watch, error) {
		return r.r.Services.WatchAccountEvents(ctx, kinds, after)
	})
}
