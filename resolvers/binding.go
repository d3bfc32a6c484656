package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *mutationResolver) AssignCustomers(ctx context.Context, input graph.AssignCustomersInput) (*graph.AssignCustomersPayload, error) {
	in := services.BindCustomers{Operation: models.OperationAssign, IdempotencyKey: value(input.IdempotencyKey)}
	results, repeated, err := r.r.bind(ctx, in, input.Customers, input.To)
	if err != nil {
		return nil, err
	}
	return &graph.AssignCustomersPayload{Results: results, IsRepeated: repeated}, nil
}

func (r *mutationResolver) RebindCustomers(ctx context.Context, input graph.RebindCustomersInput) (*graph.RebindCustomersPayload, error) {
	in := services.BindCustomers{
		Operation: models.OperationRebind, IdempotencyKey: value(input.IdempotencyKey), Keep: models.BindingKeep{Nickname: true, History: true},
	}
	if k := input.Keep; k != nil {
		in.Keep = models.BindingKeep{Nickname: unlessFalse(k.Nickname), History: unlessFalse(k.History)}
	}
	results, repeated, err := r.r.bind(ctx, in, input.Customers, input.To)
	if err != nil {
		return nil, err
	}
	return &graph.RebindCustomersPayload{Results: results, IsRepeated: repeated}, nil
}

func (r *mutationResolver) UnbindCustomers(ctx context.Context, input graph.UnbindCustomersInput) (*graph.UnbindCustomersPayload, error) {
	in := services.BindCustomers{Operation: models.OperationUnbind, IdempotencyKey: value(input.IdempotencyKey)}
	results, repeated, err := r.r.bind(ctx, in, input.Customers, nil)
	if err != nil {
		return nil, err
	}
	return &graph.UnbindCustomersPayload{Results: results, IsRepeated: repeated}, nil
}
