package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"clientele/internal/webcall"
	"clientele/models"
	"clientele/services"
)

// errNoAnswer is what a send meets when the endpoint may have the message and did not say so.
var errNoAnswer = errors.New("the endpoint did not answer in the protocol")

// Posted is a message as the endpoint is told of it.
type Posted struct {
	Account   string             `json:"account"`
	OpenID    string             `json:"openid"`
	MessageID string             `json:"messageId"`
	Kind      models.ContentKind `json:"kind"`
	Text      string             `json:"text"`
}

// Refused is the body with which an endpoint refuses a message.
type Refused struct {
	Reason      models.FailureReason `json:"reason"`
	WindowOver  bool                 `json:"windowOver,omitempty"`
	WindowSpent bool                 `json:"windowSpent,omitempty"`
}

// reasons are those an endpoint may give.
var reasons = []models.FailureReason{
	models.FailedWindowClosed, models.FailedNotFollowing, models.FailedRefused, models.FailedContent, models.FailedRejected,
}

// answerBytes is the most that is read of an answer.
const answerBytes = 4 << 10

type endpoint struct {
	address string
	client  *webcall.Client
}

func newEndpoint(address string) *endpoint { return &endpoint{address: address, client: webcall.New()} }

// send posts one message and tells what certainly did not arrive from what nobody knows.
func (e *endpoint) send(ctx context.Context, a *models.Account, to models.Ident, m *models.Message) error {
	body, err := json.Marshal(Posted{
		Account: a.ID().String(), OpenID: string(to), MessageID: m.ID().String(), Kind: m.Kind, Text: m.Text,
	})
	if err != nil {
		return fmt.Errorf("endpoint: %w: %w", err, services.ErrNotSent)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("endpoint: %w: %w", err, services.ErrNotSent)
	}
	r.Header.Set("Content-Type", "application/json")
	code, text, err := e.client.Do(r, answerBytes)
	if errors.Is(err, webcall.ErrNotAsked) {
		return fmt.Errorf("endpoint: %w: %w", err, services.ErrNotSent)
	}
	if code == 0 {
		return fmt.Errorf("endpoint: %w", err)
	}
	var refused Refused
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusServiceUnavailable:
		return fmt.Errorf("endpoint: it answered %d: %w", code, services.ErrNotSent)
	case code < 400 || code >= 500 || err != nil || json.Unmarshal(text, &refused) != nil || !slices.Contains(reasons, refused.Reason):
		return fmt.Errorf("endpoint: %w: %d", errNoAnswer, code)
	}
	return &services.Refusal{Reason: refused.Reason, WindowOver: refused.WindowOver, WindowSpent: refused.WindowSpent}
}
