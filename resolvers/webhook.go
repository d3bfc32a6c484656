package resolvers

import (
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/services"
	"context"
	"fmt"
)

func (r *mutationResolver) CreateWebhook(ctx context.Context, input graph.CreateWebhookInput) (*graph.CreateWebhookPayload, error) {
	in := services.WebhookChange{URL: &input.URL, Name: input.Name, Kinds: &input.Kinds, Paused: input.IsPaused}
	w, secret, err := r.r.Services.CreateWebhook(ctx, in)
	if err != nil {
		return nil, err
	}
	return &graph.CreateWebhookPayload{Webhook: w, Secret: secret}, nil
}

func (r *mutationResolver) UpdateWebhook(ctx context.Context, input graph.UpdateWebhookInput) (*graph.UpdateWebhookPayload, error) {
	id, err := key(input.WebhookID, models.KindWebhook, "input.webhookId")
	if err != nil {
		return nil, err
	}
	in := services.WebhookChange{URL: input.URL, Paused: input.IsPaused}
	if name, ok := input.Name.ValueOK(); ok {
		in.Name, in.NoName = name, name == nil
	}
	if input.Kinds != nil {
		in.Kinds = &input.Kinds
	}
	w, err := r.r.Services.UpdateWebhook(ctx, id, in)
	if err != nil {
		return nil, err
	}
	return &graph.UpdateWebhookPayload{Webhook: w}, nil
}

func (r *mutationResolver) DeleteWebhook(ctx context.Context, input graph.DeleteWebhookInput) (*graph.DeleteWebhookPayload, error) {
	id, err := key(input.WebhookID, models.KindWebhook, "input.webhookId")
	if err != nil {
		return nil, err
	}
	if err := r.r.Services.DeleteWebhook(ctx, id); err != nil {
		return nil, err
	}
	return &graph.DeleteWebhookPayload{WebhookID: input.WebhookID}, nil
}

func (r *mutationResolver) RotateWebhookSecret(ctx context.Context, input graph.RotateWebhookSecretInput) (*graph.RotateWebhookSecretPayload, error) {
	id, err := key(input.WebhookID, models.KindWebhook, "input.webhookId")
	if err != nil {
		return nil, err
	}
	w, secret, err := r.r.Services.RotateWebhookSecret(ctx, id)
	if err != nil {
		return nil, err
	}
	return &graph.RotateWebhookSecretPayload{Webhook: w, Secret: secret}, nil
}

func (r *mutationResolver) TestWebhook(ctx context.Context, input graph.TestWebhookInput) (*graph.TestWebhookPayload, error) {
	id, err := key(input.WebhookID, models.KindWebhook, "input.webhookId")
	if err != nil {
		return nil, err
	}
	w, err := r.r.Services.TestWebhook(ctx, id)
	if err != nil {
		return nil, err
	}
	return &graph.TestWebhookPayload{Webhook: w}, nil
}

func (r *mutationResolver) ReplayDeadLetters(ctx context.Context, input graph.ReplayDeadLettersInput) (*graph.ReplayDeadLettersPayload, error) {
	id, err := key(input.WebhookID, models.KindWebhook, "input.webhookId")
	if err != nil {
		return nil, err
	}
	var letters []models.Key
	if ids, ok := input.DeadLetterIds.ValueOK(); ok {
		if ids == nil {
			return nil, models.Invalid("input.deadLetterIds", "is null; leave it out for all")
		}
		letters = make([]models.Key, len(ids))
		for i, of := range ids {
			if letters[i], err = key(*of, models.KindDeadLetter, fmt.Sprintf("input.deadLetterIds.%d", i)); err != nil {
				return nil, err
			}
		}
	}
	w, n, err := r.r.Services.ReplayDeadLetters(ctx, id, letters)
	if err != nil {
		return nil, err
	}
	return &graph.ReplayDeadLettersPayload{Webhook: w, ReplayedCount: n}, nil
}

func (r *queryResolver) Webhooks(ctx context.Context) ([]*models.Webhook, error) {
	return r.r.Services.Webhooks(ctx)
}

func (r *queryResolver) DeadLetters(ctx context.Context, webhookID relay.ID, first *int, after *string) (*models.DeadLetterConnection, error) {
	id, err := key(webhookID, models.KindWebhook, "webhookId")
	if err != nil {
		return nil, err
	}
	p, err := r.r.page(first, after, r.r.PageMax)
	if err != nil {
		return nil, err
	}
	rows, err := r.r.Services.DeadLetterPage(ctx, id, p)
	if err != nil {
		return nil, err
	}
	return relay.Connect[*models.DeadLetter, models.DeadLetterEdge](rows, p, func(d *models.DeadLetter) relay.Keyset {
		return relay.Keyset{Key: d.Key}
	}), nil
}

func (r *webhookResolver) Cursor(ctx context.Context, obj *models.Webhook) (string, error) {
	return r.r.Services.WebhookCursor(obj), nil
}

func (r *Resolver) Webhook() graph.WebhookResolver { return &webhookResolver{r} }

type webhookResolver struct{ r *Resolver }
