package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
	"fmt"
)

func (r *messageResolver) Conversation(ctx context.Context, obj *models.Message) (*models.Conversation, error) {
	panic(fmt.Errorf("not implemented: Conversation - conversation"))
}

func (r *mutationResolver) SendMessage(ctx context.Context, input graph.SendMessageInput) (*graph.SendMessagePayload, error) {
	panic(fmt.Errorf("not implemented: SendMessage - sendMessage"))
}

func (r *Resolver) Message() graph.MessageResolver { return &messageResolver{r} }

type messageResolver struct{ r *Resolver }
