package jobs_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

func (h *hooks) update(w *models.Webhook, in services.WebhookChange) {
	h.tb.Helper()
	if _, err := h.n.UpdateWebhook(h.asAdmin(), w.Key, in); err != nil {
		h.tb.Error(err)
	}
}

// dead puts dead letters of events 1 to n on a webhook's list, and asks for them to be replayed.
func (h *hooks) dead(w *models.Webhook, n int) {
	h.tb.Helper()
	testkit.Write(h.tb, h.store, h.account.Key, func(tx *store.Tx) error {
		for i := range n {
			key, err := tx.NextDeadLetter(w.Key)
			if err != nil {
				return err
			}
			d := &models.DeadLetter{AccountID: tx.Account, WebhookID: w.Key, Key: key, Cause: models.DeadLetterFailed, Kind: models.EventKind(models.AccountCustomerChanged), Epoch: w.Epoch, FirstSeq: int64(i + 1), LastSeq: int64(i + 1), CreatedAt: tx.Now}
			if err := tx.InsertDeadLetter(d, limits.DeadLetters); err != nil {
				return err
			}
		}
		return nil
	})
	if _, got, err := h.n.ReplayDeadLetters(h.asAdmin(), w.Key, nil); err != nil || got != n {
		h.tb.Fatalf("%d are replayed, %v", got, err)
	}
}

// Ensure what an old address answers is not written onto a webhook that was changed meanwhile: neither its success nor 410 nor the end of a test; that it is called no
// more within a second, and that all goes to the new address at once.
func TestWebhookChangedMeanwhile(t *testing.T) {
	for _, status := range []int{http.StatusNoContent, http.StatusGone, http.StatusInternalServerError} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, dsn string) {
				h, r := newHooks(t, dsn), newReceiver(t)
				w, _ := h.hook(r.URL + "/old")
				h.change(0, 3)
				url := r.URL + "/new"
				r.answers(func(a http.ResponseWriter, c taken) {
					if c.path == "/old" {
						h.update(w, services.WebhookChange{URL: &url})
						h.clock.Advance(limits.PrimedFor)
						a.WriteHeader(status)
					}
				})
				h.turn()
				now := h.row(w)
				if got := r.take(); len(got) != 1 || now.State != models.WebhookActive || now.Position != 0 || now.RetryAt != 0 || now.FailingSince != 0 || now.SucceededAt != 0 || !now.LeasedBy.IsZero() {
					t.Errorf("%d: %v, and then %+v", status, told(got), now)
				}
				h.turn()
				if got := r.take(); !slices.Equal(told(got), numbered(changed, 1, 3)) || got[0].path != "/new" {
					t.Errorf("%d: at the new address %v", status, told(got))
				}
				if _, err := h.n.TestWebhook(h.asAdmin(), w.Key); err != nil {
					t.Fatal(err)
				}
				r.answers(func(a http.ResponseWriter, _ taken) {
					other := r.URL + "/third"
					h.update(w, services.WebhookChange{URL: &other})
					a.WriteHeader(status)
				})
				h.turn()
				if now := h.row(w); now.TestID.IsZero() || now.TestedAt != 0 || now.State != models.WebhookActive {
					t.Errorf("%d: the test of another address ended the one that waits: %+v", status, now)
				}
			})
		})
	}
}

// Ensure a secret that was replaced twice signs no more within a second, also in the midst of a batch, and that what is deleted is called no more.
func TestWebhookLeakedSecret(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, first := h.hook(r.URL)
		h.change(0, 3)
		r.answers(func(http.ResponseWriter, taken) {
			for range 2 {
				if _, _, err := h.n.RotateWebhookSecret(h.asAdmin(), w.Key); err != nil {
					t.Error(err)
				}
			}
			h.clock.Advance(limits.PrimedFor)
		})
		h.turn()
		if got := r.take(); len(got) != 1 || got[0].verified(t, first) != 1 {
			t.Fatalf("at first %v", told(got))
		}
		r.answers(nil)
		h.turn()
		for _, c := range r.take() {
			if c.verified(t, first) != 0 {
				t.Error("a leaked secret signs")
			}
		}
		h.change(0, 3)
		r.answers(func(http.ResponseWriter, taken) {
			if err := h.n.DeleteWebhook(h.asAdmin(), w.Key); err != nil {
				t.Error(err)
			}
			h.clock.Advance(limits.PrimedFor)
		})
		claimed, err := h.n.ClaimWebhooks(t.Context(), services.WebhookDemand{Most: 1, Trying: 1})
		if err != nil || len(claimed) != 1 {
			t.Fatal(len(claimed), err)
		}
		if err := h.n.WorkWebhook(t.Context(), claimed[0], func(services.WebhookCall) {}); err != services.ErrWorkLost { //nolint:errorlint // it is that one.
			t.Error(err)
		}
		if got := r.take(); len(got) != 1 {
			t.Errorf("deleted, it was called %d times", len(got))
		}
	})
}

// Ensure of a kind that is asked for while a batch is under way what follows is sent, and nothing that the batch passed over.
func TestWebhookOtherKinds(t *testing.T) {
	for _, status := range []int{http.StatusNoContent, http.StatusInternalServerError} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, dsn string) {
				h, r := newHooks(t, dsn), newReceiver(t)
				w, _ := h.hook(r.URL, models.AccountCustomerChanged)
				h.change(0, 3)
				h.exec("UPDATE event SET kind = ? WHERE stream_id = ? AND seq <> 2", string(models.AccountInvitationRefused), h.account.Key[:])
				r.answers(func(a http.ResponseWriter, _ taken) {
					r.status(status)
					h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{}})
					h.refuse(1)
					a.WriteHeader(status)
				})
				h.turn()
				first := r.take()
				r.answers(nil)
				h.clock.Advance(time.Minute)
				h.turn()
				got, want := append(told(first), told(r.take())...), []string{changed + " 2", "invitation.refused 4"}
				if status != http.StatusNoContent {
					want = append(want[:1], want...)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%d: it got %v, want %v", status, got, want)
				}
			})
		})
	}
}

// Ensure time in which nothing was tried is not held against an event: neither a pause, nor that the servers stood still (rule N6).
func TestWebhookPatience(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 1)
		r.status(http.StatusInternalServerError)
		h.turn()
		h.clock.Advance(limits.WebhookPatience + time.Hour)
		h.turn()
		if now := h.row(w); now.DeadLetters != 0 || now.Position != 0 || now.Attempts != 2 {
			t.Errorf("two attempts, a day apart: %+v", now)
		}
		yes, no := true, false
		h.update(w, services.WebhookChange{Paused: &yes})
		h.exec("UPDATE webhook SET attempts = 1000")
		h.clock.Advance(limits.WebhookPatience)
		h.update(w, services.WebhookChange{Paused: &no})
		h.turn()
		if now := h.row(w); now.DeadLetters != 0 || now.Attempts != 1 || now.TriedAt != h.clock.Time() {
			t.Errorf("after a pause of a day: %+v", now)
		}
	})
}

// Ensure replays in vain hold up neither each other nor what is sent live, and that where nobody answers the rest is replayed later.
func TestWebhookReplaysInVain(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 3)
		h.turn()
		r.take()
		h.dead(w, 3)
		r.status(http.StatusBadRequest)
		h.turn()
		if got := r.take(); len(got) != 3 {
			t.Errorf("replayed %v", told(got))
		}
		if now := h.row(w); now.RetryAt != 0 || now.FailingSince != 0 || now.Failures != 0 || now.DeadLetters != 3 {
			t.Errorf("in vain: %+v", now)
		}
		if _, n, err := h.n.ReplayDeadLetters(h.asAdmin(), w.Key, nil); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		r.answers(func(http.ResponseWriter, taken) { panic(http.ErrAbortHandler) })
		if calls := h.turn(); len(calls) != 1 || calls[0].Failure != models.WebhookConnection {
			t.Errorf("replayed to nobody: %+v", calls)
		}
		r.take()
		r.answers(nil)
		h.change(0, 1)
		h.turn()
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 4, 4)) {
			t.Errorf("live: %v", got)
		}
		if h.turn() != nil {
			t.Error("replayed too soon")
		}
		h.clock.Advance(limits.WebhookReplayPause)
		h.turn()
		if got := r.take(); len(got) != 2 || !got[0].body.IsReplay || len(h.letters(w)) != 1 {
			t.Errorf("later: %v", told(got))
		}
		// 410 stops all.
		if _, _, err := h.n.ReplayDeadLetters(h.asAdmin(), w.Key, nil); err != nil {
			t.Fatal(err)
		}
		r.status(http.StatusGone)
		h.turn()
		if now := h.row(w); now.State != models.WebhookGone {
			t.Errorf("410 to a replay: %s", now.State)
		}
	})
}

// Ensure a restored log is told before anything new happens, that 410 to that stops all, and that a dead letter of before is replayed as it was.
func TestWebhookRestoredAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 1)
		h.turn()
		id := r.take()[0].id
		h.dead(w, 1)
		if _, err := h.n.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.status(http.StatusGone)
		h.turn()
		if got := told(r.take()); !slices.Equal(got, []string{"log.restored 0"}) || h.row(w).State != models.WebhookGone {
			t.Fatalf("restored: %v, %s", got, h.row(w).State)
		}
		r.answers(nil)
		no := false
		h.update(w, services.WebhookChange{Paused: &no})
		h.turn()
		got := r.take()
		if len(got) != 2 || got[0].body.Type != "log.restored" || got[1].id != id || !got[1].body.IsReplay {
			t.Errorf("then %v", told(got))
		}
	})
}

// Ensure a webhook is given back whatever happens: at once when the node stops, after a pause when this side fails, and left to others for an event that this
// release does not know, be it the first or a later one.
func TestWebhookGivenBack(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 2)
		work := func(ctx context.Context) error {
			t.Helper()
			claimed, err := h.n.ClaimWebhooks(t.Context(), services.WebhookDemand{Most: 1, Trying: 1})
			if err != nil || len(claimed) != 1 {
				t.Fatal(len(claimed), err)
			}
			return h.n.WorkWebhook(ctx, claimed[0], func(services.WebhookCall) {})
		}
		ctx, cancel := context.WithCancel(t.Context())
		r.answers(func(http.ResponseWriter, taken) { cancel() })
		_ = work(ctx)
		if now := h.row(w); !now.LeasedBy.IsZero() || now.DueAt > h.clock.Time() || now.Position != 1 {
			t.Errorf("the node stopped: %+v", now)
		}
		r.answers(nil)
		sealed := h.row(w).SealedSecret
		h.exec("UPDATE webhook SET sealed_secret = ?", []byte{1})
		if err := work(t.Context()); err == nil {
			t.Error("an unreadable secret signs")
		}
		if now := h.row(w); !now.LeasedBy.IsZero() || now.DueAt != h.clock.Time().Add(limits.WebhookErrorPause) {
			t.Errorf("after an error: %+v", now)
		}
		h.exec("UPDATE webhook SET sealed_secret = ?", sealed)
		h.clock.Advance(limits.WebhookErrorPause)
		h.turn()
		r.take()
		for _, first := range []bool{true, false} {
			at := h.row(w).Position
			h.change(0, 2)
			unknown := at + 2
			if first {
				unknown = at + 1
			}
			h.exec("UPDATE event SET kind = 'OF_TOMORROW' WHERE stream_id = ? AND seq = ?", h.account.Key[:], unknown)
			if err := work(t.Context()); err == nil || !strings.Contains(err.Error(), "does not know") {
				t.Errorf("of tomorrow: %v", err)
			}
			if now := h.row(w); !now.LeasedBy.IsZero() || now.DueAt != h.clock.Time().Add(limits.WebhookLease) || now.Position != unknown-1 {
				t.Errorf("of tomorrow, first %t: %+v", first, now)
			}
			h.exec("UPDATE event SET kind = ? WHERE stream_id = ? AND seq = ?", string(models.AccountCustomerChanged), h.account.Key[:], unknown)
			h.clock.Advance(limits.WebhookLease)
			h.turn()
			r.take()
		}
	})
}

// Ensure a test in vain says nothing of what is sent live, but for 410, and that dead letters are in the order in which they were made, whatever clocks say.
func TestWebhookTestInVain(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		for _, status := range []int{http.StatusInternalServerError, http.StatusGone} {
			r.status(status)
			if _, err := h.n.TestWebhook(h.asAdmin(), w.Key); err != nil {
				t.Fatal(err)
			}
			h.turn()
			now := h.row(w)
			if now.FailingSince != 0 || now.Failure != "" || now.FailedAt != 0 || now.TestStatus != status || (now.State == models.WebhookGone) != (status == http.StatusGone) {
				t.Errorf("%d: %+v", status, now)
			}
			h.clock.Advance(limits.WebhookTestPause)
		}
		ahead := models.Key{0x7f, 0xff}
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			return tx.InsertDeadLetter(&models.DeadLetter{AccountID: tx.Account, WebhookID: w.Key, Key: ahead, Cause: models.DeadLetterNotKept, CreatedAt: tx.Now}, 3)
		})
		h.dead(w, 1)
		if got := h.letters(w); len(got) != 2 || got[1].Key != ahead {
			t.Error("a clock that was ahead comes last")
		}
	})
}
