package services

import (
	"context"

	"clientele/limits"
	"clientele/models"
)

// Advisorships is what the viewer is an advisor of (rule V1): first the one of the token, then those of
// other accounts whose advisor has the unionid that the token says, PENDING or ACTIVE, the latest
// invitation first, limits.Advisorships in all. Without that claim it is the token's alone: the unionid of
// an advisor's row is what a merchant wrote, and proves nothing to other merchants (ADR 0031).
func (s *Services) Advisorships(ctx context.Context) ([]*models.Advisorship, error) {
	c, err := s.begin(ctx, mayAdvisorships)
	if err != nil {
		return nil, err
	}
	own := &models.Advisorship{
		AccountKey: c.Account.Key, Name: c.Account.Name, AdvisorKey: c.Advisor.Key, State: c.Advisor.StateAt(s.Now()), IsViewer: true,
	}
	all := []*models.Advisorship{own}
	if c.Viewer.UnionID == "" {
		return all, nil
	}
	found, err := s.store.View(ctx).Advisorships(models.Ident(c.Viewer.UnionID), s.Now())
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if a.AdvisorKey != own.AdvisorKey && len(all) < limits.Advisorships {
			all = append(all, a)
		}
	}
	return all, nil
}
