package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *queryResolver) AuditLog(ctx context.Context, first *int, after *string, filter *graph.AuditFilter) (*models.AuditEntryConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	var f services.AuditFilter
	if filter != nil {
		f = services.AuditFilter{Subject: filter.Subject, Action: filter.Action, From: value(filter.From), Until: value(filter.Until)}
		if filter.Role != nil {
			role := string(*filter.Role)
			f.Role = &role
		}
		if filter.TargetID != nil {
			if filter.TargetID.Kind == "" {
				return nil, models.Invalid("filter.targetId", "is no id")
			}
			f.Target = filter.TargetID
		}
	}
	rows, err := r.r.Services.AuditPage(ctx, f, p)
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Audit, models.AuditEntryEdge](rows, p, func(a *models.Audit) relay.Keyset {
		return relay.Keyset{Sort: int64(a.At), Key: a.Key}
	}), nil
}
