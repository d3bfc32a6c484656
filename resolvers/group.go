package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
	"fmt"
)

func (r *groupResolver) QRCode(ctx context.Context, obj *models.Group) (*models.QRCode, error) {
	return loaders(ctx).QRCode(ctx, obj.Key)
}

func (r *mutationResolver) CreateGroup(ctx context.Context, input graph.CreateGroupInput) (*graph.CreateGroupPayload, error) {
	g, err := r.r.Services.CreateGroup(ctx, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.CreateGroupPayload{Group: g}, nil
}

func (r *mutationResolver) AddGroupAdvisors(ctx context.Context, input graph.AddGroupAdvisorsInput) (*graph.AddGroupAdvisorsPayload, error) {
	id, err := key(input.GroupID, models.KindGroup, "input.groupId")
	if err != nil {
		return nil, err
	}
	refs := make([]services.AdvisorRef, len(input.Advisors))
	for i, a := range input.Advisors {
		if refs[i], err = advisorRef(*a, fmt.Sprintf("input.advisors.%d", i)); err != nil {
			return nil, err
		}
	}
	g, results, err := r.r.Services.AddToGroup(ctx, id, refs)
	if err != nil {
		return nil, err
	}
	p := &graph.AddGroupAdvisorsPayload{Group: g, Results: make([]*graph.GroupAdvisorResult, len(results))}
	var added []models.Key
	for i, res := range results {
		p.Results[i] = &graph.GroupAdvisorResult{Advisor: res.Advisor, Error: models.AsItemError(res.Err)}
		if res.Advisor != nil {
			added = append(added, res.Advisor.Key)
		}
	}
	return p, r.r.codesOf(ctx, added)
}

func (r *queryResolver) Groups(ctx context.Context, first *int, after *string) (*models.GroupConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.GroupPage(ctx, p)
	if err == nil {
		err = r.r.codesOf(ctx, keysOf(rows, func(g *models.Group) models.Key { return g.Key }))
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Group, models.GroupEdge](rows, p, func(g *models.Group) relay.Keyset {
		return relay.Keyset{Sort: int64(g.CreatedAt), Key: g.Key}
	}), nil
}

func (r *Resolver) Group() graph.GroupResolver { return &groupResolver{r} }

type groupResolver struct{ r *Resolver }
