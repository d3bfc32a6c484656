package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
)

func (r *groupResolver) QRCode(ctx context.Context, obj *models.Group) (*models.QRCode, error) {
	return loaders(ctx).QRCode(ctx, obj.Key)
}

func (r *groupResolver) Advisors(ctx context.Context, obj *models.Group, first *int, after *string) (*models.AdvisorConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.GroupAdvisors(ctx, obj, p)
	if err == nil {
		err = r.r.ofAdvisors(ctx, keysOf(rows, func(a *models.Advisor) models.Key { return a.Key }))
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Advisor, models.AdvisorEdge](rows, p, func(a *models.Advisor) relay.Keyset {
		return relay.Keyset{Key: a.Key}
	}), nil
}

func (r *mutationResolver) CreateGroup(ctx context.Context, input graph.CreateGroupInput) (*graph.CreateGroupPayload, error) {
	g, err := r.r.Services.CreateGroup(ctx, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.CreateGroupPayload{Group: g}, nil
}

func (r *mutationResolver) RenameGroup(ctx context.Context, input graph.RenameGroupInput) (*graph.RenameGroupPayload, error) {
	id, err := key(input.GroupID, models.KindGroup, "input.groupId")
	if err != nil {
		return nil, err
	}
	g, err := r.r.Services.RenameGroup(ctx, id, input.Name)
	if err != nil {
		return nil, err
	}
	return &graph.RenameGroupPayload{Group: g}, nil
}

func (r *mutationResolver) DeleteGroup(ctx context.Context, input graph.DeleteGroupInput) (*graph.DeleteGroupPayload, error) {
	id, err := key(input.GroupID, models.KindGroup, "input.groupId")
	if err != nil {
		return nil, err
	}
	g, err := r.r.Services.DeleteGroup(ctx, id)
	if err != nil {
		return nil, err
	}
	return &graph.DeleteGroupPayload{GroupID: g.ID(), MemberCount: g.MemberCount}, nil
}

func (r *mutationResolver) RemoveGroupAdvisors(ctx context.Context, input graph.RemoveGroupAdvisorsInput) (*graph.RemoveGroupAdvisorsPayload, error) {
	g, results, err := r.r.members(ctx, input.GroupID, input.Advisors, r.r.Services.TakeFromGroup)
	if err != nil {
		return nil, err
	}
	return &graph.RemoveGroupAdvisorsPayload{Group: g, Results: results}, nil
}

func (r *mutationResolver) AddGroupAdvisors(ctx context.Context, input graph.AddGroupAdvisorsInput) (*graph.AddGroupAdvisorsPayload, error) {
	g, results, err := r.r.members(ctx, input.GroupID, input.Advisors, r.r.Services.AddToGroup)
	if err != nil {
		return nil, err
	}
	return &graph.AddGroupAdvisorsPayload{Group: g, Results: results}, nil
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
