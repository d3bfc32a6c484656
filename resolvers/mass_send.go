package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *mutationResolver) RecordMassSend(ctx context.Context, input graph.RecordMassSendInput) (*graph.RecordMassSendPayload, error) {
	to := input.Audience
	if err := oneOf("input.audience", value(to.All), to.Openids != nil); err != nil {
		return nil, err
	}
	m, repeated, err := r.r.Services.RecordMassSend(ctx, services.MassSend{
		Key: models.Ident(input.Key), At: input.At, ToAll: value(to.All), OpenIDs: to.Openids,
	})
	if err != nil {
		return nil, err
	}
	return &graph.RecordMassSendPayload{MassSend: m, IsRepeated: repeated}, nil
}
