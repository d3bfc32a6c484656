package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *bindingResolver) Customer(ctx context.Context, obj *models.Binding) (*models.Customer, error) {
	return loaders(ctx).Customer(ctx, obj.CustomerID)
}

func (r *bindingResolver) Advisor(ctx context.Context, obj *models.Binding) (*models.Advisor, error) {
	return loaders(ctx).Advisor(ctx, obj.AdvisorID)
}

func (r *bindingResolver) FormerAdvisor(ctx context.Context, obj *models.Binding) (*models.Advisor, error) {
	return loaders(ctx).Advisor(ctx, obj.FormerID)
}

func (r *mutationResolver) AssignCustomers(ctx context.Context, input graph.AssignCustomersInput) (*graph.AssignCustomersPayload, error) {
	in := services.BindCustomers{Operation: models.OperationAssign}
	a, err := r.r.bind(ctx, in, input.IdempotencyKey, input.Customers, input.To)
	if err != nil {
		return nil, err
	}
	return &graph.AssignCustomersPayload{Results: a.results, Job: a.job, IsRepeated: a.repeated}, nil
}

func (r *mutationResolver) RebindCustomers(ctx context.Context, input graph.RebindCustomersInput) (*graph.RebindCustomersPayload, error) {
	in := services.BindCustomers{Operation: models.OperationRebind, Keep: bindingKeep(input.Keep)}
	a, err := r.r.bind(ctx, in, input.IdempotencyKey, input.Customers, input.To)
	if err != nil {
		return nil, err
	}
	return &graph.RebindCustomersPayload{Results: a.results, Job: a.job, IsRepeated: a.repeated}, nil
}

func (r *mutationResolver) UnbindCustomers(ctx context.Context, input graph.UnbindCustomersInput) (*graph.UnbindCustomersPayload, error) {
	in := services.BindCustomers{Operation: models.OperationUnbind}
	a, err := r.r.bind(ctx, in, input.IdempotencyKey, input.Customers, nil)
	if err != nil {
		return nil, err
	}
	return &graph.UnbindCustomersPayload{Results: a.results, Job: a.job, IsRepeated: a.repeated}, nil
}

func (r *queryResolver) Bindings(ctx context.Context, first *int, after *string, filter *graph.BindingFilter) (*models.BindingConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	f, err := bindingFilter(filter)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.BindingPage(ctx, f, p)
	if err == nil {
		err = r.r.ofBindings(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Binding, models.BindingEdge](rows, p, func(b *models.Binding) relay.Keyset {
		return relay.Keyset{Key: b.Key}
	}), nil
}

func (r *queryResolver) NewCustomers(ctx context.Context, first *int, advisor *graph.AdvisorRef) ([]*models.Customer, error) {
	p, err := r.r.page(first, nil, limits.NewCustomers)
	if err != nil {
		return nil, err
	}
	var ref *services.AdvisorRef
	if advisor != nil {
		named, err := advisorRef(*advisor, "advisor")
		if err != nil {
			return nil, err
		}
		ref = &named
	}
	rows, err := r.r.Services.NewCustomers(ctx, ref, p.First)
	if err != nil {
		return nil, err
	}
	return rows, r.r.ofCustomers(ctx, rows)
}

func (r *Resolver) Binding() graph.BindingResolver { return &bindingResolver{r} }

type bindingResolver struct{ r *Resolver }
