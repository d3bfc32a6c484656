package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
)

func (r *queryResolver) Scans(ctx context.Context, first *int, after *string, filter *graph.ScanFilter) (*models.ScanConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	f, err := scanFilter(filter)
	if err != nil {
		return nil, err
	}
	rows, end, err := r.r.Services.ScanPage(ctx, f, p)
	if err == nil {
		err = r.r.ofScans(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	connection := relay.Connect[*models.Scan, models.ScanEdge](rows, p, func(s *models.Scan) relay.Keyset {
		return relay.Keyset{Key: s.Key}
	})
	if end != nil {
		connection.GoOn(*end)
	}
	return connection, nil
}

func (r *scanResolver) Customer(ctx context.Context, obj *models.Scan) (*models.Customer, error) {
	return loaders(ctx).Customer(ctx, obj.CustomerID)
}

func (r *scanResolver) QRCode(ctx context.Context, obj *models.Scan) (*models.QRCode, error) {
	return loaders(ctx).Code(ctx, obj.CodeID)
}

func (r *scanResolver) Advisor(ctx context.Context, obj *models.Scan) (*models.Advisor, error) {
	return loaders(ctx).Advisor(ctx, obj.AdvisorID)
}

func (r *Resolver) Scan() graph.ScanResolver { return &scanResolver{r} }

type scanResolver struct{ r *Resolver }
