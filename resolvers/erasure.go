package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"context"
)

func (r *mutationResolver) EraseCustomer(ctx context.Context, input graph.EraseCustomerInput) (*graph.EraseCustomerPayload, error) {
	ref, err := customerRef(*input.Customer, "input.customer")
	if err != nil {
		return nil, err
	}
	e, err := r.r.Services.EraseCustomer(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &graph.EraseCustomerPayload{Erasure: e}, nil
}

func (r *mutationResolver) ExportCustomer(ctx context.Context, input graph.ExportCustomerInput) (*graph.ExportCustomerPayload, error) {
	ref, err := customerRef(*input.Customer, "input.customer")
	if err != nil {
		return nil, err
	}
	p, err := exportPage(input.First, input.After)
	if err != nil {
		return nil, err
	}
	out, err := r.r.Services.ExportCustomer(ctx, ref, p.First, p.After)
	if err != nil {
		return nil, err
	}
	payload := &graph.ExportCustomerPayload{Lines: out.Lines, AuditID: (&models.Audit{Key: out.Audit}).ID()}
	if out.End != nil {
		end := out.End.Encode()
		payload.EndCursor = &end
	}
	return payload, nil
}

func (r *queryResolver) Erasure(ctx context.Context, erasureID relay.ID) (*models.Erasure, error) {
	id, err := key(erasureID, models.KindErasure, "erasureId")
	if err != nil {
		return nil, err
	}
	return r.r.Services.Erasure(ctx, id)
}

func (r *queryResolver) Erasures(ctx context.Context, first *int, after *string, openid *models.Ident) (*models.ErasureConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	if openid != nil {
		if err := models.CheckIdent(string(*openid), "openid", limits.OpenIDBytes); err != nil {
			return nil, err
		}
	}
	rows, err := r.r.Services.ErasurePage(ctx, value(openid), p)
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Erasure, models.ErasureEdge](rows, p, func(e *models.Erasure) relay.Keyset {
		return relay.Keyset{Key: e.Key}
	}), nil
}
