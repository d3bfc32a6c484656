package resolvers

import (
	"clientele/graph"
	"context"
)

func (r *mutationResolver) ConfirmOutreach(ctx context.Context, input graph.ConfirmOutreachInput) (*graph.ConfirmOutreachPayload, error) {
	ref, err := customerRef(*input.Customer, "input.customer")
	if err != nil {
		return nil, err
	}
	c, consumed, err := r.r.Services.ConfirmOutreach(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &graph.ConfirmOutreachPayload{Conversation: c, IsConsumed: consumed}, nil
}
