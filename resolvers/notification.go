package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"context"
	"fmt"
)

func (r *mutationResolver) MarkNotificationsRead(ctx context.Context, input graph.MarkNotificationsReadInput) (*graph.MarkNotificationsReadPayload, error) {
	keys := make([]models.Key, len(input.NotificationIds))
	for i, id := range input.NotificationIds {
		var err error
		if keys[i], err = key(*id, models.KindNotification, fmt.Sprintf("input.notificationIds.%d", i)); err != nil {
			return nil, err
		}
	}
	rows, err := r.r.Services.MarkNotificationsRead(ctx, keys)
	if err == nil {
		err = r.r.ofNotifications(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	return &graph.MarkNotificationsReadPayload{Notifications: rows}, nil
}

func (r *notificationResolver) Title(ctx context.Context, obj *models.Notification, language models.Language) (string, error) {
	return obj.Title(language), nil
}

func (r *notificationResolver) Text(ctx context.Context, obj *models.Notification, language models.Language) (string, error) {
	c, err := loaders(ctx).Customer(ctx, obj.CustomerID)
	if err != nil {
		return "", err
	}
	name := ""
	if c != nil {
		name = c.Nickname
	}
	return obj.Body(language, name), nil
}

func (r *notificationResolver) Customer(ctx context.Context, obj *models.Notification) (*models.Customer, error) {
	return loaders(ctx).Customer(ctx, obj.CustomerID)
}

func (r *notificationResolver) Link(ctx context.Context, obj *models.Notification) (*string, error) {
	c, err := loaders(ctx).Customer(ctx, obj.CustomerID)
	if err != nil {
		return nil, err
	}
	link, err := r.r.Services.Link(ctx, c)
	if err != nil || link == "" {
		return nil, err
	}
	return &link, nil
}

func (r *queryResolver) Notifications(ctx context.Context, first *int, after *string) (*models.NotificationConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.NotificationPage(ctx, p)
	if err == nil {
		err = r.r.ofNotifications(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Notification, models.NotificationEdge](rows, p, func(n *models.Notification) relay.Keyset {
		return relay.Keyset{Sort: int64(n.At), Key: n.Key}
	}), nil
}

func (r *Resolver) Notification() graph.NotificationResolver { return &notificationResolver{r} }

type notificationResolver struct{ r *Resolver }
