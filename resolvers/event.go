package resolvers

import (
	"clientele/models"
	"context"
	"fmt"
)

func (r *queryResolver) EventCursor(ctx context.Context) (*string, error) {
	panic(fmt.Errorf("not implemented: EventCursor - eventCursor"))
}

func (r *subscriptionResolver) Notifications(ctx context.Context, after *string) (<-chan models.NotificationEvent, error) {
	panic(fmt.Errorf("not implemented: Notifications - notifications"))
}

func (r *subscriptionResolver) Messages(ctx context.Context, after *string) (<-chan models.MessageEvent, error) {
	panic(fmt.Errorf("not implemented: Messages - messages"))
}
