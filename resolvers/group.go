package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
	"fmt"
)

func (r *groupResolver) QRCode(ctx context.Context, obj *models.Group) (*models.QRCode, error) {
	panic(fmt.Errorf("not implemented: QRCode - qrCode"))
}

func (r *mutationResolver) CreateGroup(ctx context.Context, input graph.CreateGroupInput) (*graph.CreateGroupPayload, error) {
	panic(fmt.Errorf("not implemented: CreateGroup - createGroup"))
}

func (r *mutationResolver) AddGroupAdvisors(ctx context.Context, input graph.AddGroupAdvisorsInput) (*graph.AddGroupAdvisorsPayload, error) {
	panic(fmt.Errorf("not implemented: AddGroupAdvisors - addGroupAdvisors"))
}

func (r *queryResolver) Groups(ctx context.Context, first *int, after *string) (*models.GroupConnection, error) {
	panic(fmt.Errorf("not implemented: Groups - groups"))
}

func (r *Resolver) Group() graph.GroupResolver { return &groupResolver{r} }

type groupResolver struct{ r *Resolver }
