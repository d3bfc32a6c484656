package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *customerChangeResolver) Customer(ctx context.Context, obj *models.CustomerChange) (*models.Customer, error) {
	return loaders(ctx).Customer(ctx, obj.CustomerID)
}

func (r *queryResolver) CustomerChanges(ctx context.Context, first *int, after *string, filter *graph.CustomerChangeFilter) (*models.CustomerChangeConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	var f services.CustomerChangeFilter
	if filter != nil {
		f.From, f.Until = value(filter.From), value(filter.Until)
		if filter.Customer != nil {
			ref, err := customerRef(*filter.Customer, "filter.customer")
			if err != nil {
				return nil, err
			}
			f.Customer = &ref
		}
	}
	rows, err := r.r.Services.CustomerChangePage(ctx, f, p)
	if err == nil {
		err = r.r.ofChanges(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.CustomerChange, models.CustomerChangeEdge](rows, p, func(c *models.CustomerChange) relay.Keyset {
		return relay.Keyset{Sort: int64(c.At), Key: c.Key}
	}), nil
}

func (r *queryResolver) CustomerChangeFeed(ctx context.Context, first *int, after *string) (*models.CustomerChangeFeed, error) {
	p, err := r.r.page(first, nil, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	feed, err := r.r.Services.CustomerChangeFeed(ctx, after, p.First)
	if err == nil {
		err = ofFeed(ctx, r.r, feed.Feed)
	}
	if err != nil {
		return nil, err
	}
	return feed, nil
}

func (r *subscriptionResolver) CustomerChangeFeed(ctx context.Context, after *string) (<-chan models.CustomerChangeEvent, error) {
	return stream[models.CustomerChangeEvent](ctx, after, func(ctx context.Context, after *string) (*services.Watch, error) {
		return r.r.Services.WatchCustomerChanges(ctx, after)
	})
}

func (r *Resolver) CustomerChange() graph.CustomerChangeResolver { return &customerChangeResolver{r} }

type customerChangeResolver struct{ r *Resolver }
