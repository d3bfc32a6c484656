package resolvers

import (
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *queryResolver) EventCursor(ctx context.Context) (*string, error) {
	cursor, err := r.r.Services.EventCursor(ctx)
	if err != nil {
		return nil, err
	}
	return &cursor, nil
}

func (r *subscriptionResolver) Notifications(ctx context.Context, after *string) (<-chan models.NotificationEvent, error) {
	return watch[models.NotificationEvent](ctx, r.r.Services, services.WatchNotifications, after)
}

func (r *subscriptionResolver) Messages(ctx context.Context, after *string) (<-chan models.MessageEvent, error) {
	return watch[models.MessageEvent](ctx, r.r.Services, services.WatchMessages, after)
}
