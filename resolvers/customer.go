package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
)

func (r *customerResolver) Avatar(ctx context.Context, obj *models.Customer) (*models.Image, error) {
	return r.r.image(ctx, obj.AvatarID)
}

func (r *customerResolver) Tags(ctx context.Context, obj *models.Customer) ([]*models.TagOption, error) {
	return loaders(ctx).Tags(ctx, obj)
}

func (r *customerResolver) Advisor(ctx context.Context, obj *models.Customer) (*models.Advisor, error) {
	return loaders(ctx).Advisor(ctx, obj.AdvisorID)
}

func (r *customerResolver) Contactability(ctx context.Context, obj *models.Customer) (*models.Contactability, error) {
	conv, err := loaders(ctx).Conversation(ctx, obj.Key)
	if err != nil || conv == nil {
		return nil, err
	}
	answer, err := r.r.Services.Contactability(ctx, obj, conv)
	return &answer, err
}

func (r *customerConnectionResolver) TotalCount(ctx context.Context, obj *models.CustomerConnection) (*int, error) {
	return obj.Count(ctx)
}

func (r *mutationResolver) UpdateCustomers(ctx context.Context, input graph.UpdateCustomersInput) (*graph.UpdateCustomersPayload, error) {
	updates, err := customerUpdates(input.Customers)
	if err != nil {
		return nil, err
	}
	idempotencyKey, err := bulkKey(input.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	done, err := r.r.Services.UpdateCustomers(ctx, updates, idempotencyKey)
	if err != nil {
		return nil, err
	}
	results, err := r.r.customerResults(ctx, done.Results)
	return &graph.UpdateCustomersPayload{Results: results, IsRepeated: done.Repeated}, err
}

func (r *queryResolver) Customers(ctx context.Context, first *int, after *string, filter *graph.CustomerFilter, orderBy *models.CustomerOrder) (*models.CustomerConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	f, err := customerFilter(filter, "filter")
	if err != nil {
		return nil, err
	}
	page, err := r.r.Services.CustomerPage(ctx, f, value(orderBy), p)
	if err == nil {
		err = r.r.ofCustomers(ctx, page.Customers)
	}
	if err != nil {
		return nil, err
	}
	connection := relay.Connect[*models.Customer, models.CustomerEdge](page.Customers, p, func(c *models.Customer) relay.Keyset {
		return relay.Keyset{Sort: int64(page.Order.Place(c)), Key: c.Key}
	})
	connection.Count = func(ctx context.Context) (*int, error) { return r.r.Services.CountCustomers(ctx, f) }
	if page.End != nil {
		connection.GoOn(*page.End)
	}
	return connection, nil
}

func (r *queryResolver) Customer(ctx context.Context, by graph.CustomerRef) (*models.Customer, error) {
	ref, err := customerRef(by, "by")
	if err != nil {
		return nil, err
	}
	return r.r.Services.Customer(ctx, ref)
}

func (r *Resolver) Customer() graph.CustomerResolver { return &customerResolver{r} }

func (r *Resolver) CustomerConnection() graph.CustomerConnectionResolver {
	return &customerConnectionResolver{r}
}

type (
	customerResolver           struct{ r *Resolver }
	customerConnectionResolver struct{ r *Resolver }
)
