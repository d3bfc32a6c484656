package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
)

func (r *mutationResolver) ExportAuditLog(ctx context.Context, input graph.ExportAuditLogInput) (*graph.ExportAuditLogPayload, error) {
	p, err := exportPage(input.First, input.After)
	if err != nil {
		return nil, err
	}
	f, err := auditFilter(input.Filter, "input.filter")
	if err != nil {
		return nil, err
	}
	out, err := r.r.Services.ExportAudit(ctx, f, p)
	if err != nil {
		return nil, err
	}
	payload := &graph.ExportAuditLogPayload{Lines: out.Lines, AuditID: (&models.Audit{Key: out.Audit}).ID()}
	if out.End != nil {
		end := out.End.Encode()
		payload.EndCursor = &end
	}
	return payload, nil
}

func (r *queryResolver) AuditLog(ctx context.Context, first *int, after *string, filter *graph.AuditFilter) (*models.AuditEntryConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	f, err := auditFilter(filter, "filter")
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.AuditPage(ctx, f, p)
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Audit, models.AuditEntryEdge](rows, p, func(a *models.Audit) relay.Keyset {
		return relay.Keyset{Sort: int64(a.At), Key: a.Key}
	}), nil
}
