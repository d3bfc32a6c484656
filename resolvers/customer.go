package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
	"fmt"
)

func (r *customerResolver) Advisor(ctx context.Context, obj *models.Customer) (*models.Advisor, error) {
	panic(fmt.Errorf("not implemented: Advisor - advisor"))
}

func (r *queryResolver) Customers(ctx context.Context, first *int, after *string, filter *graph.CustomerFilter) (*models.CustomerConnection, error) {
	panic(fmt.Errorf("not implemented: Customers - customers"))
}

func (r *queryResolver) Customer(ctx context.Context, by graph.CustomerRef) (*models.Customer, error) {
	panic(fmt.Errorf("not implemented: Customer - customer"))
}

func (r *Resolver) Customer() graph.CustomerResolver { return &customerResolver{r} }

type customerResolver struct{ r *Resolver }
