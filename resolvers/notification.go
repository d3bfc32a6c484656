package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
	"fmt"
)

func (r *mutationResolver) MarkNotificationsRead(ctx context.Context, input graph.MarkNotificationsReadInput) (*graph.MarkNotificationsReadPayload, error) {
	panic(fmt.Errorf("not implemented: MarkNotificationsRead - markNotificationsRead"))
}

func (r *notificationResolver) Title(ctx context.Context, obj *models.Notification, language models.Language) (string, error) {
	panic(fmt.Errorf("not implemented: Title - title"))
}

func (r *notificationResolver) Text(ctx context.Context, obj *models.Notification, language models.Language) (string, error) {
	panic(fmt.Errorf("not implemented: Text - text"))
}

func (r *notificationResolver) Customer(ctx context.Context, obj *models.Notification) (*models.Customer, error) {
	panic(fmt.Errorf("not implemented: Customer - customer"))
}

func (r *notificationResolver) Link(ctx context.Context, obj *models.Notification) (*string, error) {
	panic(fmt.Errorf("not implemented: Link - link"))
}

func (r *queryResolver) Notifications(ctx context.Context, first *int, after *string) (*models.NotificationConnection, error) {
	panic(fmt.Errorf("not implemented: Notifications - notifications"))
}

func (r *Resolver) Notification() graph.NotificationResolver { return &notificationResolver{r} }

type notificationResolver struct{ r *Resolver }
