package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
	"fmt"
)

func (r *queryResolver) Node(ctx context.Context, id relay.ID) (models.Node, error) {
	panic(fmt.Errorf("not implemented: Node - node"))
}

func (r *queryResolver) Nodes(ctx context.Context, ids []*relay.ID) ([]models.Node, error) {
	panic(fmt.Errorf("not implemented: Nodes - nodes"))
}

func (r *queryResolver) Viewer(ctx context.Context) (*models.Viewer, error) {
	panic(fmt.Errorf("not implemented: Viewer - viewer"))
}

func (r *Resolver) Mutation() graph.MutationResolver { return &mutationResolver{r} }

func (r *Resolver) Query() graph.QueryResolver { return &queryResolver{r} }

func (r *Resolver) Subscription() graph.SubscriptionResolver { return &subscriptionResolver{r} }

type (
	mutationResolver     struct{ r *Resolver }
	queryResolver        struct{ r *Resolver }
	subscriptionResolver struct{ r *Resolver }
)
