package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *messageResolver) Conversation(ctx context.Context, obj *models.Message) (*models.Conversation, error) {
	c, err := loaders(ctx).Conversation(ctx, obj.CustomerID)
	return mustShow(c, err, "conversation")
}

func (r *mutationResolver) SendMessage(ctx context.Context, input graph.SendMessageInput) (*graph.SendMessagePayload, error) {
	ref, err := customerRef(*input.Customer, "input.customer")
	if err != nil {
		return nil, err
	}
	m, err := r.r.Services.Send(ctx, services.Outgoing{To: ref, Text: input.Text, IdempotencyKey: input.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	return &graph.SendMessagePayload{Message: m}, nil
}

func (r *mutationResolver) ResendMessage(ctx context.Context, input graph.ResendMessageInput) (*graph.ResendMessagePayload, error) {
	id, err := key(input.MessageID, models.KindMessage, "input.messageId")
	if err != nil {
		return nil, err
	}
	m, err := r.r.Services.Resend(ctx, id, input.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	return &graph.ResendMessagePayload{Message: m}, nil
}

func (r *Resolver) Message() graph.MessageResolver { return &messageResolver{r} }

type messageResolver struct{ r *Resolver }
