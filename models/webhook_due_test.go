package models_test

import (
	"testing"

	"clientele/models"
)

// Ensure an idle webhook becomes due for an event that it asks for, stands right before it, and is left alone otherwise; and that of those that wait for
// something else only a replay gives way, without a change of place.
func TestWebhookMeets(t *testing.T) {
	const now, later, latest models.Time = 100, 200, 300
	epoch := []byte("12345678")
	lease := models.NewKey()
	for name, tt := range map[string]struct {
		w            models.Webhook
		meets        bool
		position     int64
		due          models.Time
		caughtUp     int64
		next         models.Time
		anotherEpoch models.Time
	}{
		"idle":                      {models.Webhook{DueAt: models.WebhookNever}, true, 7, now, 9, now, now},
		"idle, of this kind":        {models.Webhook{DueAt: models.WebhookNever, Kinds: models.WebhookKinds{models.AccountCodeScanned}}, true, 7, now, 9, now, now},
		"idle, of another kind":     {models.Webhook{DueAt: models.WebhookNever, Kinds: models.WebhookKinds{models.AccountCustomerChanged}}, false, 3, models.WebhookNever, 9, now, now},
		"idle, in a pause":          {models.Webhook{DueAt: models.WebhookNever, RetryAt: later}, true, 7, later, 9, later, later},
		"leased":                    {models.Webhook{DueAt: models.WebhookNever, LeasedBy: lease}, false, 3, models.WebhookNever, 3, now, now},
		"paused":                    {models.Webhook{DueAt: models.WebhookNever, State: models.WebhookPaused}, false, 3, models.WebhookNever, 3, models.WebhookNever, models.WebhookNever},
		"paused, to be tested":      {models.Webhook{DueAt: now, State: models.WebhookPaused, TestID: lease}, false, 3, now, 3, now, now},
		"due":                       {models.Webhook{DueAt: 50}, false, 3, 50, 3, now, now},
		"failed":                    {models.Webhook{DueAt: later, RetryAt: later}, false, 3, later, 3, later, later},
		"to be looked at later":     {models.Webhook{DueAt: later}, false, 3, later, 3, now, now},
		"replays later":             {models.Webhook{DueAt: later, Replaying: true, ReplaysAt: later}, true, 3, now, 3, now, now},
		"replays later, of another": {models.Webhook{DueAt: later, Replaying: true, ReplaysAt: later, Kinds: models.WebhookKinds{models.AccountCustomerChanged}}, false, 3, later, 3, now, now},
		"replays after a pause":     {models.Webhook{DueAt: latest, Replaying: true, ReplaysAt: latest, RetryAt: later}, true, 3, later, 3, later, later},
		"replays in a pause":        {models.Webhook{DueAt: later, Replaying: true, ReplaysAt: later, RetryAt: later}, false, 3, later, 3, later, later},
	} {
		w := tt.w
		if w.Position, w.Epoch = 3, epoch; w.State == "" {
			w.State = models.WebhookActive
		}
		if got := w.Next(epoch, 9, now); got != tt.next {
			t.Errorf("%s: behind its stream, next at %d", name, got)
		}
		if got := w.Next([]byte("87654321"), 3, now); got != tt.anotherEpoch {
			t.Errorf("%s: in another epoch, next at %d", name, got)
		}
		shown := w
		if shown.CatchUp([]byte("87654321"), 9); shown.Position != 3 {
			t.Errorf("%s: caught up with another log, to %d", name, shown.Position)
		}
		if shown.CatchUp(epoch, 9); shown.Position != tt.caughtUp {
			t.Errorf("%s: caught up to %d", name, shown.Position)
		}
		if meets := w.Meets(7, []*models.AccountEvent{{Kind: models.AccountBindingChanged}, {Kind: models.AccountCodeScanned}}, now); meets != tt.meets || w.Position != tt.position || w.DueAt != tt.due {
			t.Errorf("%s: meets %t, at %d, due at %d", name, meets, w.Position, w.DueAt)
		}
	}
	// At the head.
	for name, tt := range map[string]struct {
		w    models.Webhook
		next models.Time
	}{
		"nothing":              {models.Webhook{}, models.WebhookNever},
		"nothing, in a pause":  {models.Webhook{RetryAt: later}, models.WebhookNever},
		"a notice":             {models.Webhook{Notice: models.DeadLetterNotKept}, now},
		"a notice that failed": {models.Webhook{Notice: models.DeadLetterNotKept, RetryAt: later}, later},
		"a test":               {models.Webhook{TestID: lease, RetryAt: later}, now},
		"replays":              {models.Webhook{Replaying: true}, now},
		"replays, rest":        {models.Webhook{Replaying: true, ReplaysAt: later}, later},
	} {
		w := tt.w
		w.Position, w.Epoch, w.State = 9, epoch, models.WebhookActive
		if got := w.Next(epoch, 9, now); got != tt.next {
			t.Errorf("%s: next at %d", name, got)
		}
	}
}
