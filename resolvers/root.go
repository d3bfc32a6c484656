package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
)

func (r *queryResolver) Node(ctx context.Context, id relay.ID) (models.Node, error) {
	if id.Kind == "" {
		return nil, models.Invalid("id", "is no id")
	}
	return r.r.Services.Node(ctx, id)
}

func (r *queryResolver) Nodes(ctx context.Context, ids []*relay.ID) ([]models.Node, error) {
	if len(ids) > r.r.NodesMax {
		return nil, models.TooMany("ids", r.r.NodesMax, "at most %d in a call", r.r.NodesMax)
	}
	all := make([]relay.ID, len(ids))
	for i, id := range ids {
		all[i] = *id
	}
	nodes, err := r.r.Services.Nodes(ctx, all)
	if err != nil {
		return nil, err
	}
	return nodes, r.r.ofNodes(ctx, nodes)
}

func (r *queryResolver) Viewer(ctx context.Context) (*models.Viewer, error) {
	return r.r.Services.Viewer(ctx)
}

func (r *Resolver) Mutation() graph.MutationResolver { return &mutationResolver{r} }

func (r *Resolver) Query() graph.QueryResolver { return &queryResolver{r} }

func (r *Resolver) Subscription() graph.SubscriptionResolver { return &subscriptionResolver{r} }

type (
	mutationResolver     struct{ r *Resolver }
	queryResolver        struct{ r *Resolver }
	subscriptionResolver struct{ r *Resolver }
)
