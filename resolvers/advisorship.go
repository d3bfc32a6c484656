package resolvers

import (
	"clientele/models"
	"context"
)

func (r *queryResolver) ViewerAdvisorships(ctx context.Context) ([]*models.Advisorship, error) {
	return r.r.Services.Advisorships(ctx)
}
