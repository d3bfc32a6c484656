package jobs_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// storm is two nodes that number events and call receivers, while events are written, webhooks are changed, turns die, and time passes.
type storm struct {
	*hooks
	nodes [2]*node
	// of are the kinds of the events by their numbers, from 1 on, as they were numbered.
	of []models.EventKind
}

func (s *storm) node() *node { return s.nodes[rand.N(len(s.nodes))] }

// emit writes an event of one of two kinds, which is not numbered yet.
func (s *storm) emit(kind models.AccountEventKind) {
	customer := models.Key{}
	if kind == models.AccountCustomerChanged {
		customer = s.customers[0]
	}
	if err := s.node().store.Write(context.Background(), store.System(), s.account.Key, func(tx *store.Tx) error {
		tx.EmitToAccount(kind, customer, s.advisor.Key)
		return nil
	}); err != nil {
		s.tb.Error(err)
	}
}

// work has some turns on a node, of which some die before they begin, and some are called off.
func (s *storm) work(n *node) {
	claimed, err := n.ClaimWebhooks(context.Background(), services.WebhookDemand{Most: 4, Trying: 4})
	if err != nil {
		s.tb.Error(err)
	}
	for _, w := range claimed {
		ctx, cancel := context.WithCancel(context.Background())
		told := func(services.WebhookCall) {}
		switch rand.N(12) {
		case 0: // killed: the lease stays
			cancel()
			continue
		case 1:
			told = func(services.WebhookCall) { cancel() }
		}
		if err := n.WorkWebhook(ctx, w, told); err != nil && !errors.Is(err, services.ErrWorkLost) && !errors.Is(err, context.Canceled) {
			s.tb.Error(err)
		}
		cancel()
	}
}

// alter changes a webhook in one of the ways that do not change what it is to be sent; changing says that its kinds change too.
func (s *storm) alter(w *models.Webhook, changing bool) {
	yes, no := true, false
	some := [][]models.AccountEventKind{{models.AccountCustomerChanged}, {}}
	n, ctx := s.node(), s.asAdmin()
	var err error
	switch rand.N(7) {
	case 0:
		_, err = n.UpdateWebhook(ctx, w.Key, services.WebhookChange{Paused: &yes})
	case 1, 2:
		_, err = n.UpdateWebhook(ctx, w.Key, services.WebhookChange{Paused: &no})
	case 3:
		_, _, err = n.RotateWebhookSecret(ctx, w.Key)
	case 4:
		if _, err = n.TestWebhook(ctx, w.Key); models.CodeOf(err) == models.CodeRateLimited {
			err = nil
		}
	case 5:
		_, _, err = n.ReplayDeadLetters(ctx, w.Key, nil)
	case 6:
		if changing {
			_, err = n.UpdateWebhook(ctx, w.Key, services.WebhookChange{Kinds: &some[rand.N(len(some))]})
		}
	}
	if err != nil {
		s.tb.Errorf("a change: %v", err)
	}
}

// rage has all happen at once until so many events were written.
func (s *storm) rage(made []*models.Webhook, events int) {
	ctx, end := context.WithCancel(context.Background())
	var writers, others sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for range events / 2 {
				s.emit([]models.AccountEventKind{models.AccountCustomerChanged, models.AccountInvitationRefused}[rand.N(2)])
			}
		})
	}
	loop := func(do func()) {
		others.Go(func() {
			for ctx.Err() == nil {
				do()
			}
		})
	}
	for _, n := range s.nodes {
		loop(func() {
			if _, err := n.RelayEvents(context.Background()); err != nil {
				s.tb.Error(err)
			}
		})
		loop(func() { s.work(n) })
	}
	loop(func() {
		i := rand.N(len(made))
		s.alter(made[i], i == len(made)-1)
		s.clock.Advance(time.Duration(rand.N(20)) * time.Second)
	})
	writers.Wait()
	end()
	others.Wait()
}

// rest has what is numbered be sent by who is due, and by nobody else, and ends when nothing is for longer than any pause or lease.
func (s *storm) rest(made []*models.Webhook) {
	no := false
	for _, w := range made {
		s.update(w, services.WebhookChange{Paused: &no})
	}
	s.relay()
	for quiet := 0; quiet < 3; quiet++ {
		if writes, _ := s.turns(); writes > 0 {
			quiet = 0
		}
		s.clock.Advance(limits.WebhookBackoffMax)
	}
	for _, w := range made {
		if now := s.stored(w); !now.IsIdle() {
			s.tb.Errorf("nothing is done, and it is not idle: %+v", now)
		}
	}
	rows, err := s.store.Log().Read(s.tb.Context(), []models.StreamRange{{ID: models.StreamID{Account: s.account.Key, Stream: s.account.Key}, After: int64(len(s.of)), UpTo: 1 << 40}}, 1<<12)
	if err != nil {
		s.tb.Fatal(err)
	}
	for i := range rows {
		s.of = append(s.of, rows[i].Kind)
	}
}

// Ensure that whatever two nodes do at once, with turns that die, clocks that pass leases, receivers that fail, and webhooks that are paused, tested, replayed, rotated and given
// other kinds, each event that a webhook asks for is sent, the first time in order, by who finds the webhook due; and that what retention deletes beneath an idle one is missed by nobody (rules N6, N7).
func TestWebhookStorm(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		other := h.store // an embedded database serves one process
		if !strings.HasPrefix(dsn, "sqlite:") {
			other = testkit.Store(t, dsn, h.clock)
		}
		s := &storm{hooks: h, nodes: [2]*node{h.n, hookNode(t, other, hookCaller)}}
		type path = string
		var mu sync.Mutex
		got := map[path][]int64{}
		r.answers(func(w http.ResponseWriter, c taken) {
			if c.path == "/failing" && rand.N(10) == 0 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case c.body.Type == "events.lost" || c.body.Type == "log.restored":
				t.Errorf("%s was told %s", c.path, c.raw)
			case c.body.Sequence > 0 && !slices.Contains(got[c.path], c.body.Sequence):
				got[c.path] = append(got[c.path], c.body.Sequence)
			}
		})
		all, _ := h.hook(r.URL + "/all")
		some, _ := h.hook(r.URL+"/some", models.AccountCustomerChanged)
		failing, _ := h.hook(r.URL+"/failing", models.AccountInvitationRefused)
		changing, _ := h.hook(r.URL+"/changing", models.AccountCustomerChanged)
		made := []*models.Webhook{all, some, failing, changing}
		for range 3 {
			s.rage(made, 60)
			s.rest(made)
			// What nobody but the first asks for, deleted beneath the others.
			h.clock.Advance(limits.EventRetention + time.Hour)
			h.retain()
		}
		asked := func(kinds ...models.AccountEventKind) (want []int64) {
			for i, kind := range s.of {
				if slices.Contains(kinds, models.AccountEventKind(kind)) {
					want = append(want, int64(i+1))
				}
			}
			return want
		}
		for of, want := range map[path][]int64{
			"/all": asked(models.AccountCustomerChanged, models.AccountInvitationRefused), "/some": asked(models.AccountCustomerChanged), "/failing": asked(models.AccountInvitationRefused),
		} {
			if !slices.Equal(got[of], want) {
				t.Errorf("%s was sent %v\nwant %v", of, got[of], want)
			}
		}
		for _, n := range asked(models.AccountCustomerChanged) {
			if !slices.Contains(got["/changing"], n) {
				t.Errorf("of the one with changing kinds %d is missing", n)
			}
		}
	})
}
