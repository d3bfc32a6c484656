package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *mutationResolver) SimulateFollow(ctx context.Context, input graph.SimulateFollowInput) (*graph.SimulateFollowPayload, error) {
	var ad *models.InboundAd
	if input.Advertisement != nil {
		ad = &models.InboundAd{}
		if group := input.Advertisement.GroupID; group != nil {
			var err error
			if ad.Group, err = key(*group, models.KindGroup, "input.advertisement.groupId"); err != nil {
				return nil, err
			}
		}
	}
	res, err := r.r.Services.Simulate(ctx, services.Simulation{
		Kind: models.InboundFollow, OpenID: input.Openid, Scene: value(input.Scene), Ad: ad, EventID: value(input.EventID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.SimulateFollowPayload{Customer: res.Customer, Outcome: scanOutcome(res)}, nil
}

func (r *mutationResolver) SimulateUnfollow(ctx context.Context, input graph.SimulateUnfollowInput) (*graph.SimulateUnfollowPayload, error) {
	res, err := r.r.Services.Simulate(ctx, services.Simulation{
		Kind: models.InboundUnfollow, OpenID: input.Openid, EventID: value(input.EventID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.SimulateUnfollowPayload{Customer: res.Customer}, nil
}

func (r *mutationResolver) SimulateScan(ctx context.Context, input graph.SimulateScanInput) (*graph.SimulateScanPayload, error) {
	res, err := r.r.Services.Simulate(ctx, services.Simulation{
		Kind: models.InboundScan, OpenID: input.Openid, Scene: input.Scene, EventID: value(input.EventID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.SimulateScanPayload{Customer: res.Customer, Outcome: scanOutcome(res)}, nil
}

func (r *mutationResolver) SimulateMenuClick(ctx context.Context, input graph.SimulateMenuClickInput) (*graph.SimulateMenuClickPayload, error) {
	res, err := r.r.Services.Simulate(ctx, services.Simulation{
		Kind: models.InboundMenu, OpenID: input.Openid, EventID: value(input.EventID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.SimulateMenuClickPayload{Customer: res.Customer}, nil
}

func (r *mutationResolver) SimulateMessage(ctx context.Context, input graph.SimulateMessageInput) (*graph.SimulateMessagePayload, error) {
	res, err := r.r.Services.Simulate(ctx, services.Simulation{
		Kind: models.InboundMessage, OpenID: input.Openid, Text: input.Text, EventID: value(input.EventID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.SimulateMessagePayload{Customer: res.Customer}, nil
}

func (r *mutationResolver) SimulatePayment(ctx context.Context, input graph.SimulatePaymentInput) (*graph.SimulatePaymentPayload, error) {
	res, err := r.r.Services.Simulate(ctx, services.Simulation{
		Kind: models.InboundPayment, OpenID: input.Openid, EventID: value(input.TransactionID),
	})
	if err != nil {
		return nil, err
	}
	return &graph.SimulatePaymentPayload{Customer: res.Customer}, nil
}

func (r *mutationResolver) SimulateSending(ctx context.Context, input graph.SimulateSendingInput) (*graph.SimulateSendingPayload, error) {
	if err := r.r.Services.SetSandbox(ctx, input.Sending); err != nil {
		return nil, err
	}
	return &graph.SimulateSendingPayload{Sending: input.Sending}, nil
}
