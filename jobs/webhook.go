package jobs

import (
	"context"
	"errors"
	"maps"
	"sync"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// webhooks sends receivers what they are to be told, limits.WebhookWorkers webhooks at a time, until ctx ends and what they answered is
// recorded. No account has all the workers, nor have receivers that failed last, are slow, or have not answered yet.
func (r *Runner) webhooks(ctx context.Context) {
	each := r.Hook
	if each == 0 {
		each = limits.WebhookPoll
	}
	h := &hooksInHand{busy: map[models.Key]int{}}
	turns(ctx, r.Log, "webhooks", limits.WebhookWorkers, each, r.Services.WebhooksQueued(), func(ctx context.Context, most int) ([]*models.Webhook, error) {
		claimed, err := r.Services.ClaimWebhooks(ctx, h.demand(most))
		h.take(claimed)
		return claimed, err
	}, func(ctx context.Context, w *models.Webhook) {
		defer h.release(w.AccountID, w.Trying)
		r.callWebhook(ctx, w)
	})
}

// callWebhook has a turn at a webhook.
func (r *Runner) callWebhook(ctx context.Context, w *models.Webhook) {
	attrs := []any{"webhook", w.Key.String(), "account", w.AccountID.String()}
	err := r.Services.WorkWebhook(ctx, w, func(c services.WebhookCall) {
		if r.WebhookCalled != nil {
			r.WebhookCalled(c)
		}
		if c.Failure != "" {
			r.Log.InfoContext(ctx, "a receiver did not take what it was sent", append(attrs, "failure", string(c.Failure), "status", c.Status, "dead", c.IsDead)...)
		}
	})
	if err != nil && !errors.Is(err, services.ErrWorkLost) && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "a webhook is not sent anything and is tried again", append(attrs, "error", err)...)
	}
}

// hooksInHand counts the webhooks that this node has in hand. It is safe for concurrent use.
type hooksInHand struct {
	mu   sync.Mutex
	busy map[models.Key]int
	// trying is how many of them are tried.
	trying int
}

func (h *hooksInHand) demand(most int) services.WebhookDemand {
	h.mu.Lock()
	defer h.mu.Unlock()
	return services.WebhookDemand{Most: most, Trying: limits.WebhookWorkers/limits.WebhookTryShare - h.trying, Busy: maps.Clone(h.busy)}
}

func (h *hooksInHand) take(claimed []*models.Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range claimed {
		h.busy[w.AccountID]++
		if w.Trying {
			h.trying++
		}
	}
}

func (h *hooksInHand) release(account models.Key, trying bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[account]--; h.busy[account] == 0 {
		delete(h.busy, account)
	}
	if trying {
		h.trying--
	}
}
