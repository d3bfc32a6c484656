package jobs_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// posts is a caller that is a function.
type posts func(ctx context.Context) (int, error)

func (f posts) Post(ctx context.Context, _ string, _ http.Header, _ []byte) (int, string, error) {
	status, err := f(ctx)
	return status, "", err
}

// Ensure no account has all workers, nor have receivers that are tried, and that others go on beside those that hang.
func TestWebhookFairness(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		other := &hooks{shop: newShop(t, h.store, 1), n: h.n, clock: h.clock}
		for i := range limits.WebhooksPerAccount {
			h.hook(fmt.Sprintf("%s/a%d", r.URL, i))
		}
		w, _ := other.hook(r.URL + "/b")
		h.exec("UPDATE webhook SET trying = 0")
		h.change(0, 1)
		h.clock.Advance(time.Second)
		other.change(0, 1)
		claim := func(d services.WebhookDemand) map[models.Key]int {
			t.Helper()
			claimed, err := h.n.ClaimWebhooks(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			n := map[models.Key]int{}
			for _, c := range claimed {
				n[c.AccountID]++
			}
			return n
		}
		if n := claim(services.WebhookDemand{Most: 3, Busy: map[models.Key]int{h.account.Key: 2}}); n[h.account.Key] != 2 || n[other.account.Key] != 1 {
			t.Errorf("claimed %v", n)
		}
		if n := claim(services.WebhookDemand{Most: 8, Busy: map[models.Key]int{h.account.Key: limits.WebhookWorkersPerAccount}}); len(n) != 0 {
			t.Errorf("beyond its share: %v", n)
		}
		h.clock.Advance(limits.WebhookLease)
		h.exec("UPDATE webhook SET trying = 1 WHERE account_id = ?", h.account.Key[:])
		if n := claim(services.WebhookDemand{Most: 8, Trying: 1}); n[h.account.Key] != 1 || n[other.account.Key] != 1 {
			t.Errorf("with one to try: %v", n)
		}
		// With workers: those that hang hold no other up.
		h.clock.Advance(limits.WebhookLease)
		goOn := make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		var hanging atomic.Int64
		r.answers(func(w http.ResponseWriter, c taken) {
			if strings.HasPrefix(c.path, "/a") {
				hanging.Add(1)
				<-goOn
			}
		})
		h.n.run(t, 2)
		t.Cleanup(resume)
		await(t, "the account has its share", func() bool { return hanging.Load() > 0 })
		other.change(0, 1)
		await(t, "the other is sent all", func() bool { return other.row(w).Position == 2 })
		if n := hanging.Load(); n > limits.WebhookWorkersPerAccount {
			t.Errorf("%d calls of one account", n)
		}
		resume()
	})
}

// Ensure receivers that take everything, but slowly, have a part of the workers at most, of however many accounts they are: one that is slow once loses its worker, and one
// that has not answered yet counts as slow; so a quick one of another account is sent its events while they stall. Slow ones that become quick are quick.
func TestWebhookSlowReceivers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const share = limits.WebhookWorkers / limits.WebhookTryShare
		h, r := newHooks(t, dsn), newReceiver(t)
		quick, _ := h.hook(r.URL + "/quick")
		var slow []*hooks
		var at []*models.Webhook // the first of each
		for len(slow)*limits.WebhookWorkersPerAccount < limits.WebhookWorkers {
			o := &hooks{shop: newShop(t, h.store, 1), n: h.n, clock: h.clock}
			for i := range limits.WebhookWorkersPerAccount {
				w, _ := o.hook(fmt.Sprintf("%s/slow/%d", r.URL, i))
				if i == 0 {
					at = append(at, w)
				}
			}
			slow = append(slow, o)
		}
		if w := h.stored(quick); !w.Trying {
			t.Error("one that has not answered yet counts as quick")
		}
		for _, o := range append(slow, h) {
			o.change(0, 1)
		}
		h.turns()
		// One slow answer ends the turn of a quick one; in a turn of the slow ones they have their share of events.
		r.take()
		r.answers(func(_ http.ResponseWriter, c taken) {
			if c.path == "/slow/0" {
				h.clock.Advance(limits.WebhookSlow)
			}
		})
		slow[0].change(0, 2)
		if w := slow[0].stored(at[0]); w.Trying {
			t.Error("one that answered at once counts as slow")
		}
		claimed, err := h.n.ClaimWebhooks(t.Context(), services.WebhookDemand{Most: limits.WebhookWorkers})
		if err != nil || len(claimed) != limits.WebhookWorkersPerAccount {
			t.Fatal(len(claimed), err)
		}
		for _, w := range claimed {
			if err := h.n.WorkWebhook(t.Context(), w, func(services.WebhookCall) {}); err != nil {
				t.Error(err)
			}
		}
		if w := slow[0].stored(at[0]); !w.Trying || w.Position != 2 || !w.LeasedBy.IsZero() || w.FailingSince != 0 {
			t.Errorf("after a slow answer: %+v", w)
		}
		if n := len(r.take()); n != 1+2*(limits.WebhookWorkersPerAccount-1) {
			t.Errorf("%d calls", n)
		}
		r.answers(func(http.ResponseWriter, taken) { h.clock.Advance(limits.WebhookSlow - time.Microsecond) })
		h.turns()
		if w := slow[0].stored(at[0]); w.Trying || w.Position != 3 {
			t.Errorf("quick again: %+v", w)
		}
		// Now all of them are slow, and then stall.
		r.answers(func(_ http.ResponseWriter, c taken) {
			if c.path != "/quick" {
				h.clock.Advance(limits.WebhookSlow)
			}
		})
		for _, o := range slow {
			o.change(0, 1)
		}
		h.turns()
		goOn := make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		var hanging, most atomic.Int64
		r.answers(func(_ http.ResponseWriter, c taken) {
			if c.path != "/quick" {
				most.Store(max(hanging.Add(1), most.Load()))
				<-goOn
				hanging.Add(-1)
			}
		})
		for _, o := range slow {
			o.change(0, 1)
		}
		h.n.run(t, 2)
		t.Cleanup(resume)
		await(t, "the slow ones have their share", func() bool { return hanging.Load() == share })
		for range 3 {
			h.change(0, 1)
		}
		await(t, "the quick one is sent all", func() bool { return h.stored(quick).Position == 4 })
		if n := most.Load(); n != share {
			t.Errorf("%d slow ones were called at once", n)
		}
		resume()
		await(t, "the slow ones are sent all", func() bool {
			return !slices.ContainsFunc(slow, func(o *hooks) bool {
				all, err := h.store.View(t.Context()).Webhooks(o.account.Key)
				return err != nil || slices.ContainsFunc(all, func(w *models.Webhook) bool { return !w.IsIdle() })
			})
		})
	})
}

// Ensure the statements of a turn depend on the batches, not on the events.
func TestWebhookStatements(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		h.hook(r.URL)
		cost := func(events int) int64 {
			t.Helper()
			h.change(0, events)
			var n atomic.Int64
			ctx := store.CountStatements(t.Context(), &n)
			claimed, err := h.n.ClaimWebhooks(ctx, services.WebhookDemand{Most: 1, Trying: 1})
			if err != nil || len(claimed) != 1 {
				t.Fatalf("claimed %d, %v", len(claimed), err)
			}
			if err := h.n.WorkWebhook(ctx, claimed[0], func(services.WebhookCall) {}); err != nil {
				t.Fatal(err)
			}
			if got := len(r.take()); got != events {
				t.Fatalf("%d of %d were sent", got, events)
			}
			return n.Load()
		}
		cost(1) // it has answered
		one, batch, two := cost(1), cost(limits.WebhookBatch), cost(2*limits.WebhookBatch)
		t.Log(one, batch, two)
		if one != batch || one > 15 || two-batch > 10 {
			t.Errorf("%d statements for an event, %d for a batch, %d for two", one, batch, two)
		}
	})
}

// Ensure a receiver that is slow to refuse a test, or a replay, has its turns among those that are tried, as one that is slow to take an event (rule N6).
func TestWebhookSlowTests(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		for of, ask := range map[string]func(){
			"test": func() {
				h.clock.Advance(limits.WebhookTestPause)
				if _, err := h.n.TestWebhook(h.asAdmin(), w.Key); err != nil {
					t.Fatal(err)
				}
			},
			"replay": func() { h.dead(w, 1) },
		} {
			r.answers(nil)
			h.change(0, 1)
			h.turns()
			if now := h.stored(w); now.Trying || !now.IsIdle() {
				t.Fatalf("before the %s: %+v", of, now)
			}
			r.answers(func(w http.ResponseWriter, _ taken) {
				h.clock.Advance(limits.WebhookSlow)
				w.WriteHeader(http.StatusInternalServerError)
			})
			ask()
			h.turns()
			if now := h.stored(w); !now.Trying {
				t.Errorf("after a slow %s: %+v", of, now)
			}
		}
	})
}
