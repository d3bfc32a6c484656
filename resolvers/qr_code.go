package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *mutationResolver) CreateQRCodes(ctx context.Context, input graph.CreateQRCodesInput) (*graph.CreateQRCodesPayload, error) {
	codes, err := newCodes(input.Codes)
	if err != nil {
		return nil, err
	}
	idempotencyKey, err := bulkKey(input.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	results, repeated, err := r.r.Services.CreateQRCodes(ctx, codes, idempotencyKey)
	if err != nil {
		return nil, err
	}
	p := &graph.CreateQRCodesPayload{Results: make([]*graph.CreateQRCodeResult, len(results)), IsRepeated: repeated}
	var made []*models.QRCode
	for i, res := range results {
		p.Results[i] = &graph.CreateQRCodeResult{QRCode: res.Code, Error: models.AsItemError(res.Err)}
		if res.Code != nil {
			made = append(made, res.Code)
		}
	}
	return p, r.r.ofCodes(ctx, made)
}

func (r *qRCodeResolver) URL(ctx context.Context, obj *models.QRCode) (*string, error) {
	return r.r.Services.QRCodeURL(ctx, obj)
}

func (r *qRCodeResolver) Advisor(ctx context.Context, obj *models.QRCode) (*models.Advisor, error) {
	if obj.Kind != models.QRCodeAdvisor {
		return nil, nil //nolint:nilnil // null: it is the other's.
	}
	return loaders(ctx).Advisor(ctx, obj.OwnerID)
}

func (r *qRCodeResolver) Group(ctx context.Context, obj *models.QRCode) (*models.Group, error) {
	if obj.Kind != models.QRCodeGroup {
		return nil, nil //nolint:nilnil // null: it is the other's.
	}
	return loaders(ctx).Group(ctx, obj.OwnerID)
}

func (r *queryResolver) QRCodes(ctx context.Context, first *int, after *string, filter *graph.QRCodeFilter) (*models.QRCodeConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	f, err := codeFilter(filter)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.QRCodePage(ctx, f, p)
	if err == nil {
		err = r.r.ofCodes(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.QRCode, models.QRCodeEdge](rows, p, func(q *models.QRCode) relay.Keyset {
		return relay.Keyset{Key: q.Key}
	}), nil
}

func (r *queryResolver) QRCodePicture(ctx context.Context, codeID relay.ID, format *models.QRCodeFormat, size *int, avatar *string, hasAdvisorAvatar *bool) (*models.QRCodePicture, error) {
	id, err := key(codeID, models.KindQRCode, "codeId")
	if err != nil {
		return nil, err
	}
	in := services.CodePicture{Code: id, Size: limits.CodePicture, Avatar: avatar, OfAdvisor: value(hasAdvisorAvatar)}
	if format != nil {
		in.Format = *format
	}
	if size != nil {
		in.Size = *size
	}
	return r.r.Services.QRCodePicture(ctx, in)
}

func (r *Resolver) QRCode() graph.QRCodeResolver { return &qRCodeResolver{r} }

type qRCodeResolver struct{ r *Resolver }
