package jobs_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// refuse has an event of another kind than change be numbered, so many times.
func (h *hooks) refuse(times int) {
	h.tb.Helper()
	testkit.Write(h.tb, h.store, h.account.Key, func(tx *store.Tx) error {
		for range times {
			tx.EmitToAccount(models.AccountInvitationRefused, models.Key{}, h.advisor.Key)
		}
		return nil
	})
	for more := true; more; {
		var err error
		if more, err = h.n.RelayEvents(h.tb.Context()); err != nil {
			h.tb.Fatal(err)
		}
	}
}

// stored is a webhook's row.
func (h *hooks) stored(w *models.Webhook) *models.Webhook {
	h.tb.Helper()
	rows, err := h.store.View(h.tb.Context()).WebhooksByKeys(h.account.Key, []models.Key{w.Key})
	if err != nil || len(rows) != 1 {
		h.tb.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[0]
}

// counted counts the transactions and statements of what is done in a context.
func (h *hooks) counted(do func(context.Context)) (writes, statements int64) {
	var w, s atomic.Int64
	do(store.CountWrites(store.CountStatements(h.tb.Context(), &s), &w))
	return w.Load(), s.Load()
}

// turns has turns at what is due until nothing is, and counts.
func (h *hooks) turns() (writes, statements int64) {
	h.tb.Helper()
	return h.counted(func(ctx context.Context) {
		for {
			claimed, err := h.n.ClaimWebhooks(ctx, services.WebhookDemand{Most: 8, Trying: 8})
			if err != nil {
				h.tb.Fatal(err)
			}
			if len(claimed) == 0 {
				return
			}
			for _, w := range claimed {
				if err := h.n.WorkWebhook(ctx, w, func(services.WebhookCall) {}); err != nil {
					h.tb.Fatal(err)
				}
			}
		}
	})
}

// Ensure what is sent costs two transactions, one that claims and one that records and gives back, be it an event or a batch; that an event which a webhook does not ask for
// costs none, and no row of it; and that a run of such which has to be looked at costs those two, however long it is.
func TestWebhookWrites(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL, models.AccountCustomerChanged)
		h.turns()
		if now := h.stored(w); !now.IsIdle() {
			t.Fatalf("with nothing to do it is %+v", now)
		}
		for _, n := range []int{1, limits.WebhookBatch} {
			h.change(0, n)
			writes, statements := h.turns()
			if got := len(r.take()); got != n || writes != 2 || statements > 20 {
				t.Errorf("%d events, of which %d were sent, cost %d transactions, %d statements", n, got, writes, statements)
			}
		}
		// Not asked for.
		before := h.stored(w)
		h.clock.Advance(time.Second)
		const long = 2*limits.WebhookLook + 10
		h.refuse(long)
		if writes, _ := h.turns(); writes != 0 {
			t.Errorf("%d events that it does not ask for cost %d transactions", long, writes)
		}
		if now := h.stored(w); now.Position != before.Position || now.DueAt != before.DueAt {
			t.Errorf("they wrote its row: %+v", now)
		}
		if at := h.row(w).Position; at != before.Position+long {
			t.Errorf("it is shown at %d", at)
		}
		h.change(0, 1)

		want := numbered(changed, int(before.Position)+long+1, int(before.Position)+long+1)
		if writes, statements := h.turns(); writes != 2 || statements > 20 {
			t.Errorf("the one behind them costs %d transactions, %d statements", writes, statements)
		}
		if got := told(r.take()); !slices.Equal(got, want) {
			t.Errorf("then %v, want %v", got, want)
		}
		// A run that came while it was paused.
		yes, no := true, false
		h.update(w, services.WebhookChange{Paused: &yes})
		h.refuse(long)
		h.update(w, services.WebhookChange{Paused: &no})
		if writes, _ := h.turns(); writes != 2 || r.take() != nil {
			t.Errorf("a run of %d costs %d transactions", long, writes)
		}
		if now := h.stored(w); !now.IsIdle() || now.Position != int64(2*long+limits.WebhookBatch+2) {
			t.Errorf("behind the run: %+v", now)
		}
		// Several batches: one more each.
		h.change(0, 3*limits.WebhookBatch)
		if writes, _ := h.turns(); writes != 4 || len(r.take()) != 3*limits.WebhookBatch {
			t.Errorf("three batches cost %d transactions", writes)
		}
		// A replay.
		h.dead(w, 2)
		if writes, _ := h.turns(); writes != 2 || len(r.take()) != 2 || h.stored(w).Replaying {
			t.Errorf("replays cost %d transactions", writes)
		}
	})
}

// Ensure what an idle webhook passed over is neither missed, when retention overtakes it, nor sent, when it asks for it later; and that everything from then on is.
func TestWebhookIdle(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL, models.AccountCustomerChanged)
		h.turns()
		h.refuse(3)
		h.clock.Advance(limits.EventRetention + time.Hour)
		if h.retain().Events != 3 {
			t.Fatal("events are left")
		}
		h.change(0, 1)
		h.turns()
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 4, 4)) {
			t.Errorf("overtaken by retention: %v", got)
		}
		// Other kinds, of what comes now.
		h.refuse(2)
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{}})
		h.refuse(1)
		h.turns()
		if got := told(r.take()); !slices.Equal(got, []string{"invitation.refused 7"}) {
			t.Errorf("of other kinds: %v", got)
		}
		// What comes while it is paused is kept for it, of what it asked for then.
		yes, no := true, false
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{models.AccountCustomerChanged}})
		h.refuse(1)
		h.update(w, services.WebhookChange{Paused: &yes})
		h.refuse(1)
		h.change(0, 1)
		h.update(w, services.WebhookChange{Kinds: &[]models.AccountEventKind{}, Paused: &no})
		h.turns()
		if got := told(r.take()); !slices.Equal(got, []string{changed + " 10"}) {
			t.Errorf("after a pause: %v", got)
		}
		// Its receiver failed, and what it failed at became a dead letter: the pause holds for what comes next.
		r.status(http.StatusBadGateway)
		h.change(0, 1)
		h.turns()
		h.exec("UPDATE webhook SET attempts = 1000, tried_at = 1, retry_at = 0, due_at = 0")
		h.turns()
		if now := h.stored(w); !now.IsIdle() || now.RetryAt <= h.clock.Time() {
			t.Fatalf("with a dead letter: %+v", now)
		}
		r.take()
		r.answers(nil)
		h.change(0, 1)
		if writes, _ := h.turns(); writes != 0 || r.take() != nil {
			t.Errorf("%d transactions in the pause", writes)
		}
		h.clock.Set(h.stored(w).RetryAt.Go())
		h.turns()
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 12, 12)) {
			t.Errorf("after the pause: %v", got)
		}
		// A restored log is told though nothing follows.
		if _, err := h.n.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.turns()
		if got := told(r.take()); !slices.Equal(got, []string{"log.restored 0"}) {
			t.Errorf("restored: %v", got)
		}
	})
}

// Ensure no webhook is forgotten that is being made, given back or given other kinds while events are numbered: each is sent all that followed, though nobody looks for what is not due.
func TestWebhookForgetsNone(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const rounds = 40
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL + "/all")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range rounds {
				h.change(i%2, 1)
			}
		}()
		// Turns while events are numbered: each may find the last of them, or just not.
		for open := true; open; {
			select {
			case <-done:
				open = false
			default:
			}
			h.turns()
		}
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 1, rounds)) || !h.stored(w).IsIdle() {
			t.Errorf("got %v", got)
		}
		// Made while events are numbered: sent from some number on, all of them.
		done = make(chan struct{})
		go func() {
			defer close(done)
			for i := range rounds {
				h.change(i%2, 1)
			}
		}()
		var made []*models.Webhook
		for range limits.WebhooksPerAccount - 1 {
			one, _ := h.hook(r.URL + "/" + models.NewKey().String())
			made = append(made, one)
			h.turns()
		}
		<-done
		h.turns()
		last := int64(2 * rounds)
		for _, one := range made {
			if now := h.stored(one); now.Position != last || !now.IsIdle() {
				t.Errorf("one that was made meanwhile: %+v", now)
			}
		}
	})
}
