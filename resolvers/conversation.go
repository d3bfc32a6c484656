package resolvers

import (
	"clientele/graph"
	"clientele/models"
	"context"
	"fmt"
)

func (r *contactabilityResolver) Reason(ctx context.Context, obj *models.Contactability) (*models.ContactReason, error) {
	panic(fmt.Errorf("not implemented: Reason - reason"))
}

func (r *conversationResolver) Customer(ctx context.Context, obj *models.Conversation) (*models.Customer, error) {
	panic(fmt.Errorf("not implemented: Customer - customer"))
}

func (r *conversationResolver) LastMessage(ctx context.Context, obj *models.Conversation) (*models.Message, error) {
	panic(fmt.Errorf("not implemented: LastMessage - lastMessage"))
}

func (r *conversationResolver) Contactability(ctx context.Context, obj *models.Conversation) (*models.Contactability, error) {
	panic(fmt.Errorf("not implemented: Contactability - contactability"))
}

func (r *conversationResolver) Messages(ctx context.Context, obj *models.Conversation, first *int, after *string) (*models.MessageConnection, error) {
	panic(fmt.Errorf("not implemented: Messages - messages"))
}

func (r *mutationResolver) MarkConversationRead(ctx context.Context, input graph.MarkConversationReadInput) (*graph.MarkConversationReadPayload, error) {
	panic(fmt.Errorf("not implemented: MarkConversationRead - markConversationRead"))
}

func (r *queryResolver) Inbox(ctx context.Context, first *int, after *string, filter *graph.InboxFilter) (*models.ConversationConnection, error) {
	panic(fmt.Errorf("not implemented: Inbox - inbox"))
}

func (r *queryResolver) Conversation(ctx context.Context, customer graph.CustomerRef) (*models.Conversation, error) {
	panic(fmt.Errorf("not implemented: Conversation - conversation"))
}

func (r *queryResolver) Contactability(ctx context.Context, customer graph.CustomerRef) (*models.Contactability, error) {
	panic(fmt.Errorf("not implemented: Contactability - contactability"))
}

func (r *Resolver) Contactability() graph.ContactabilityResolver { return &contactabilityResolver{r} }

func (r *Resolver) Conversation() graph.ConversationResolver { return &conversationResolver{r} }

type (
	contactabilityResolver struct{ r *Resolver }
	conversationResolver   struct{ r *Resolver }
)
