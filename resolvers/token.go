package resolvers

import (
	"clientele/graph"
	"clientele/services"
	"context"
)

func (r *mutationResolver) RevokeToken(ctx context.Context, input graph.RevokeTokenInput) (*graph.RevokeTokenPayload, error) {
	until, err := r.r.Services.RevokeToken(ctx, input.TokenID, input.ExpiresAt)
	if err != nil {
		return nil, err
	}
	return &graph.RevokeTokenPayload{RememberedUntil: until}, nil
}

func (r *mutationResolver) RevokeTokensIssuedBefore(ctx context.Context, input graph.RevokeTokensIssuedBeforeInput) (*graph.RevokeTokensIssuedBeforePayload, error) {
	bearer := services.TokenBearer{Subject: value(input.Bearer.Subject)}
	if err := oneOf("input.bearer", input.Bearer.Advisor != nil, input.Bearer.Subject != nil); err != nil {
		return nil, err
	}
	if input.Bearer.Advisor != nil {
		ref, err := advisorRef(*input.Bearer.Advisor, "input.bearer.advisor")
		if err != nil {
			return nil, err
		}
		bearer.Advisor = &ref
	}
	revoked, err := r.r.Services.RevokeIssuedBefore(ctx, bearer, input.At)
	if err != nil {
		return nil, err
	}
	return &graph.RevokeTokensIssuedBeforePayload{IssuedBefore: revoked.IssuedBefore, RememberedUntil: revoked.ExpiresAt}, nil
}
