package resolvers

import (
	"clientele/graph"
	"context"
	"fmt"
)

func (r *mutationResolver) SimulateFollow(ctx context.Context, input graph.SimulateFollowInput) (*graph.SimulateFollowPayload, error) {
	panic(fmt.Errorf("not implemented: SimulateFollow - simulateFollow"))
}

func (r *mutationResolver) SimulateUnfollow(ctx context.Context, input graph.SimulateUnfollowInput) (*graph.SimulateUnfollowPayload, error) {
	panic(fmt.Errorf("not implemented: SimulateUnfollow - simulateUnfollow"))
}

func (r *mutationResolver) SimulateScan(ctx context.Context, input graph.SimulateScanInput) (*graph.SimulateScanPayload, error) {
	panic(fmt.Errorf("not implemented: SimulateScan - simulateScan"))
}

func (r *mutationResolver) SimulateMenuClick(ctx context.Context, input graph.SimulateMenuClickInput) (*graph.SimulateMenuClickPayload, error) {
	panic(fmt.Errorf("not implemented: SimulateMenuClick - simulateMenuClick"))
}

func (r *mutationResolver) SimulateMessage(ctx context.Context, input graph.SimulateMessageInput) (*graph.SimulateMessagePayload, error) {
	panic(fmt.Errorf("not implemented: SimulateMessage - simulateMessage"))
}

func (r *mutationResolver) SimulateSending(ctx context.Context, input graph.SimulateSendingInput) (*graph.SimulateSendingPayload, error) {
	panic(fmt.Errorf("not implemented: SimulateSending - simulateSending"))
}
