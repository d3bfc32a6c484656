package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
)

func (r *contactabilityResolver) Reason(ctx context.Context, obj *models.Contactability) (*models.ContactReason, error) {
	if obj.Reason == "" {
		return nil, nil //nolint:nilnil // null: they may be contacted.
	}
	return &obj.Reason, nil
}

func (r *conversationResolver) Customer(ctx context.Context, obj *models.Conversation) (*models.Customer, error) {
	c, err := loaders(ctx).Customer(ctx, obj.CustomerID)
	return mustShow(c, err, "customer")
}

func (r *conversationResolver) LastMessage(ctx context.Context, obj *models.Conversation) (*models.Message, error) {
	return loaders(ctx).LastMessage(ctx, obj)
}

func (r *conversationResolver) Contactability(ctx context.Context, obj *models.Conversation) (*models.Contactability, error) {
	c, err := loaders(ctx).Customer(ctx, obj.CustomerID)
	if c, err = mustShow(c, err, "customer"); err != nil {
		return nil, err
	}
	answer, err := r.r.Services.Contactability(ctx, c, obj)
	return &answer, err
}

func (r *conversationResolver) Messages(ctx context.Context, obj *models.Conversation, first *int, after *string) (*models.MessageConnection, error) {
	p, err := r.r.page(first, after, r.r.MessagesMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.MessagePage(ctx, obj, p)
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Message, models.MessageEdge](rows, p, func(m *models.Message) relay.Keyset {
		return relay.Keyset{Key: m.Key}
	}), nil
}

func (r *mutationResolver) MarkConversationRead(ctx context.Context, input graph.MarkConversationReadInput) (*graph.MarkConversationReadPayload, error) {
	ref, err := customerRef(*input.Customer, "input.customer")
	if err != nil {
		return nil, err
	}
	var upTo models.Key
	if input.UpToMessageID != nil {
		if upTo, err = key(*input.UpToMessageID, models.KindMessage, "input.upToMessageId"); err != nil {
			return nil, err
		}
	}
	c, err := r.r.Services.MarkRead(ctx, ref, upTo)
	if err != nil {
		return nil, err
	}
	return &graph.MarkConversationReadPayload{Conversation: c}, nil
}

func (r *queryResolver) Inbox(ctx context.Context, first *int, after *string, filter *graph.InboxFilter) (*models.ConversationConnection, error) {
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	var f services.InboxFilter
	if filter != nil {
		f = services.InboxFilter{
			Unread: value(filter.IsUnread), Interacted48h: value(filter.IsInteractedWithin48h), HasReplied: value(filter.HasReplied),
		}
		if f.Search, err = searchText(filter.Search, "filter.search"); err != nil {
			return nil, err
		}
		if f.Tags, err = tagFilter(filter.Tags, "filter.tags"); err != nil {
			return nil, err
		}
	}
	rows, err := r.r.Services.Inbox(ctx, f, p)
	if err == nil {
		err = r.r.ofInbox(ctx, rows)
	}
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.Conversation, models.ConversationEdge](rows, p, func(c *models.Conversation) relay.Keyset {
		return relay.Keyset{Sort: int64(c.ActiveAt), Key: c.CustomerID}
	}), nil
}

func (r *queryResolver) Conversation(ctx context.Context, customer graph.CustomerRef) (*models.Conversation, error) {
	ref, err := customerRef(customer, "customer")
	if err != nil {
		return nil, err
	}
	return r.r.Services.Conversation(ctx, ref)
}

func (r *queryResolver) Contactability(ctx context.Context, customer graph.CustomerRef) (*models.Contactability, error) {
	ref, err := customerRef(customer, "customer")
	if err != nil {
		return nil, err
	}
	answer, err := r.r.Services.MayWrite(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &answer, nil
}

func (r *Resolver) Contactability() graph.ContactabilityResolver { return &contactabilityResolver{r} }

func (r *Resolver) Conversation() graph.ConversationResolver { return &conversationResolver{r} }

type (
	contactabilityResolver struct{ r *Resolver }
	conversationResolver   struct{ r *Resolver }
)
