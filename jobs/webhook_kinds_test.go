package jobs_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// Ensure a webhook that is given other kinds is sent, of a kind that is new to it, what follows, and nothing from before, whatever it was waiting for; and that what it
// asked for all the while comes, whenever it happened (rule N7).
func TestWebhookAsksFromNowOn(t *testing.T) {
	const refused = "invitation.refused "
	all := []models.AccountEventKind{}
	for name, tt := range map[string]struct {
		// before has it wait for something, with one change of a customer sent, or waiting as event 2.
		before func(h *hooks, r *receiver, w *models.Webhook)
		// after ends the waiting.
		after func(h *hooks, r *receiver, w *models.Webhook)
		want  []string
	}{
		"idle": {
			func(*hooks, *receiver, *models.Webhook) {},
			func(*hooks, *receiver, *models.Webhook) {},
			[]string{refused + "4"},
		},
		"in the pause of a replay": {
			func(h *hooks, r *receiver, w *models.Webhook) {
				h.dead(w, 2)
				r.answers(func(http.ResponseWriter, taken) { panic(http.ErrAbortHandler) })
				h.turns()
				if now := h.stored(w); !now.Replaying || now.ReplaysAt <= h.clock.Time() || now.DueAt != now.ReplaysAt {
					h.tb.Fatalf("it waits for no replay: %+v", now)
				}
				r.take()
				r.answers(nil)
			},
			func(h *hooks, _ *receiver, _ *models.Webhook) { h.clock.Advance(limits.WebhookReplayPause) },
			[]string{refused + "4", "withdrawn 2"}, // and the replay that is left
		},
		"while its receiver fails": {
			func(h *hooks, r *receiver, _ *models.Webhook) {
				h.change(0, 1)
				r.status(http.StatusBadGateway)
				h.turns()
				r.take()
				r.answers(nil)
			},
			func(h *hooks, _ *receiver, _ *models.Webhook) { h.clock.Advance(time.Minute) },
			[]string{changed + " 2", refused + "5"},
		},
		"while it is paused": {
			func(h *hooks, _ *receiver, w *models.Webhook) {
				yes := true
				h.update(w, services.WebhookChange{Paused: &yes})
				h.change(0, 1)
			},
			func(h *hooks, _ *receiver, w *models.Webhook) {
				no := false
				h.update(w, services.WebhookChange{Paused: &no})
			},
			[]string{changed + " 2", refused + "5"},
		},
		"before its turn": {
			func(h *hooks, _ *receiver, _ *models.Webhook) { h.change(0, 1) },
			func(*hooks, *receiver, *models.Webhook) {},
			[]string{changed + " 2", refused + "5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, dsn string) {
				h, r := newHooks(t, dsn), newReceiver(t)
				w, _ := h.hook(r.URL, models.AccountCustomerChanged)
				h.change(0, 1)
				h.turns()
				r.take()
				tt.before(h, r, w)
				h.refuse(2)
				h.update(w, services.WebhookChange{Kinds: &all})
				h.refuse(1)
				tt.after(h, r, w)
				h.turns()
				if got := told(r.take()); !slices.Equal(got, tt.want) {
					t.Errorf("it got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// Ensure a webhook is sent nothing that waits of a kind that it asks for no more, and of one that it asks for again what follows; that a replay, which somebody asked
// for, is sent whatever the kinds are; and that of a log that goes on from a backup all kinds are sent that it asks for (rules N6, N7).
func TestWebhookAsksNoMore(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 1) // 1
		h.refuse(1)    // 2
		h.dead(w, 1)
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{models.AccountInvitationRefused}})
		h.change(0, 1) // 3
		h.turns()
		if got, want := told(r.take()), []string{"invitation.refused 2", "withdrawn 1"}; !slices.Equal(got, want) {
			t.Errorf("it got %v, want %v", got, want)
		}
		yes, no := true, false
		h.update(w, services.WebhookChange{Paused: &yes})
		h.refuse(1) // 4
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{models.AccountCustomerChanged}})
		h.change(0, 1) // 5
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{}})
		h.refuse(1) // 6
		h.update(w, services.WebhookChange{Paused: &no})
		h.turns()
		if got, want := told(r.take()), []string{changed + " 5", "invitation.refused 6"}; !slices.Equal(got, want) {
			t.Errorf("asked for again: it got %v, want %v", got, want)
		}
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{models.AccountCustomerChanged}})
		h.update(w, services.WebhookChange{Paused: &yes})
		h.change(0, 4) // 7 to 10
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{}})
		if _, err := h.n.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The backup is from before the last four.
		h.exec("DELETE FROM event WHERE stream_id = ? AND seq > 6", h.account.Key[:])
		h.exec("UPDATE stream SET head = 6 WHERE id = ?", h.account.Key[:])
		h.update(w, services.WebhookChange{Paused: &no})
		h.turns()
		if got, want := told(r.take()), []string{"log.restored 0"}; !slices.Equal(got, want) {
			t.Errorf("restored: it got %v, want %v", got, want)
		}
		h.refuse(1) // 7
		h.turns()
		if got, want := told(r.take()), []string{"invitation.refused 7"}; !slices.Equal(got, want) {
			t.Errorf("behind the backup: it got %v, want %v", got, want)
		}
	})
}

// Ensure what is numbered while a turn begins, behind a change of kinds that the turn does not know of, is not passed over.
func TestWebhookTurnOfOldKinds(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL, models.AccountCustomerChanged)
		h.refuse(1)
		h.change(0, 1)
		claimed, err := h.n.ClaimWebhooks(t.Context(), services.WebhookDemand{Most: 1, Trying: 1})
		if err != nil || len(claimed) != 1 {
			t.Fatal(len(claimed), err)
		}
		h.refuse(1)
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{}})
		h.refuse(2)
		h.change(0, 1)
		if err := h.n.WorkWebhook(t.Context(), claimed[0], func(services.WebhookCall) {}); err != nil {
			t.Fatal(err)
		}
		h.turns()
		want := []string{changed + " 2", "invitation.refused 4", "invitation.refused 5", changed + " 6"}
		if got := told(r.take()); !slices.Equal(got, want) { // and in their order: receivers may let numbers decide
			t.Errorf("it got %v, want %v", got, want)
		}
	})
}
