package events_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

// bubble runs f with a log and a hub, in fake time.
func bubble(t *testing.T, name string, f func(t *testing.T, l *fakeLog, h *events.Hub)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := newLog()
			h, _ := mustRun(t, l, nil)
			f(t, l, h)
		})
	})
}

func TestCommitted(t *testing.T) {
	t.Parallel()
	bubble(t, "a fresh event costs no statement", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		w.mustGet(0)
		reads := l.count(events.OpRead)
		h.Committed(l.commit(id, 3, func(e *models.Event) { e.Primed = &models.Primed{At: models.At(time.Now())} }))
		for _, e := range w.mustGet(3) {
			if e.Primed == nil {
				t.Errorf("%d lost its rows", e.Seq)
			}
		}
		if l.count(events.OpRead) != reads {
			t.Error("the log was read")
		}
	})
	bubble(t, "a later number waits for the earlier one", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		made := l.commit(id, 3)
		h.Committed(made[2:])
		w.mustGet(0)
		h.Committed(made[1:2])
		w.mustGet(0)
		h.Committed(made[:1])
		w.mustGet(3)
		time.Sleep(limits.StreamPoll / 2)
		w.mustGet(0)
		if n := l.count(events.OpRead); n != 0 {
			t.Errorf("%d reads", n)
		}
		if got := h.Stats().Gaps; got != 1 {
			t.Errorf("%d gaps", got)
		}
	})
	bubble(t, "an earlier number that does not come is read", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		made := l.commit(id, 4)
		h.Committed(made[:1])
		h.Committed(made[3:])
		w.mustGet(1)
		time.Sleep(limits.StreamPoll / 10)
		w.mustGet(3)
		h.Committed(made[1:3]) // late: no news
		w.mustGet(0)
	})
	bubble(t, "very many before the missing one", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		made := l.commit(id, 3*limits.StreamRing)
		for _, e := range slices.Backward(made[1:]) {
			h.Committed([]models.Event{e})
		}
		w.mustGet(0)
		time.Sleep(limits.StreamPoll / 10)
		w.mustGet(len(made))
	})
	bubble(t, "twice is once", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		made := l.commit(id, 2)
		h.Committed(made)
		h.Committed(made)
		w.mustGet(2)
		h.Committed(made)
		w.mustGet(0)
	})
	bubble(t, "streams that nobody listens to keep nothing", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		h.Committed(l.commit(id, 5))
		w := mustOpen(t, h, l, id, nil)
		h.Committed(l.commit(newStream(), 5))
		w.mustGet(0)
		w.feed.Close()
		w.feed.Close()
		if s := h.Stats(); s.Feeds != 0 || s.Streams != 0 {
			t.Errorf("%+v", s)
		}
		if got, err := w.feed.Take(t.Context(), 1); got != nil || err != nil {
			t.Errorf("after Close: %v, %v", got, err)
		}
	})
}

func TestPrimed(t *testing.T) {
	t.Parallel()
	customer, other := models.NewKey(), models.NewKey()
	of := func(c models.Key) func(*models.Event) {
		return func(e *models.Event) {
			e.Customer, e.Primed = c, &models.Primed{At: models.At(time.Now())}
		}
	}
	left := func(e *models.Event) { e.Kind, e.Customer = models.EventCustomerLeft, customer }
	primed := func(list []models.Event) (have []bool) {
		for _, e := range list {
			have = append(have, e.Primed != nil)
		}
		return have
	}
	for name, c := range map[string]struct {
		do   func(l *fakeLog, h *events.Hub, id models.StreamID)
		want []bool
	}{
		"fresh": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			h.Committed(l.commit(id, 2, of(customer)))
			time.Sleep(limits.PrimedFor)
		}, []bool{true, true}},
		"old": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			h.Committed(l.commit(id, 1, of(customer)))
			time.Sleep(limits.PrimedFor)
			h.Committed(l.commit(id, 1, of(customer)))
			time.Sleep(time.Microsecond)
		}, []bool{false, true}},
		"old after a poll": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			h.Committed(l.commit(id, 1, of(customer)))
			time.Sleep(2 * limits.StreamPoll)
		}, []bool{false}},
		"the customer left": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			h.Committed(l.commit(id, 1, of(customer)))
			h.Committed(l.commit(id, 1, of(other)))
			h.Committed(l.commit(id, 1, left))
			h.Committed(l.commit(id, 1, of(customer)))
		}, []bool{false, true, false, true}},
		"the customer left, announced first": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			h.Committed(l.commit(id, 1, of(customer)))
			before, after := l.commit(id, 1, of(customer)), l.commit(id, 1, left)
			h.Committed(after)
			h.Committed(before)
		}, []bool{false, false, false}},
		"the customer left by another node": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			time.Sleep(limits.StreamPoll - limits.PrimedFor/2)
			h.Committed(l.commit(id, 1, of(customer)))
			l.commit(id, 1, left)
			time.Sleep(limits.PrimedFor/2 + time.Millisecond)
		}, []bool{false, false}},
		"something is missing that may tell so": {func(l *fakeLog, h *events.Hub, id models.StreamID) {
			h.Committed(l.commit(id, 1, of(other)))
			l.commit(id, 1, left)
			h.Committed(l.commit(id, 1, of(other)))
		}, []bool{false}},
	} {
		bubble(t, name, func(t *testing.T, l *fakeLog, h *events.Hub) {
			id := newStream()
			w := mustOpen(t, h, l, id, nil)
			c.do(l, h, id)
			if got := primed(w.drain()); !slices.Equal(got, c.want) {
				t.Errorf("primed: %v, want %v", got, c.want)
			}
		})
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	bubble(t, "alone is enough", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		for _, n := range []int{1, limits.StreamRing, limits.StreamRing + 1, 3 * limits.StreamPage} {
			l.commit(id, n)
			w.mustGet(0)
			time.Sleep(limits.StreamPoll)
			w.mustGet(n)
		}
	})
	bubble(t, "nothing new, no barrier", func(t *testing.T, l *fakeLog, h *events.Hub) {
		time.Sleep(3 * limits.StreamPoll)
		if n := l.count(events.OpEpoch); n != 0 {
			t.Errorf("%d statements for nobody", n)
		}
		mustOpen(t, h, l, newStream(), nil)
		n := l.count(events.OpBarrier)
		time.Sleep(3 * limits.StreamPoll)
		if got := l.count(events.OpBarrier); got != n {
			t.Errorf("%d barriers", got-n)
		}
	})
	bubble(t, "visible is not durable", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		ghost := l.write(id)
		// The crash comes between the reading and the barrier.
		l.set(func(l *fakeLog) {
			l.before = func(op events.Op) {
				if op == events.OpBarrier {
					l.set(func(l *fakeLog) { l.before = nil })
					l.crash()
				}
			}
		})
		time.Sleep(limits.StreamPoll)
		w.mustGet(0)
		again := l.write(id)
		if again.Seq != ghost.Seq {
			t.Fatal("the number was not used again")
		}
		w.mustGet(0)
		time.Sleep(limits.StreamPoll)
		if got := w.mustGet(1); got[0].Message != again.Message {
			t.Error("the lost event came")
		}
	})
	bubble(t, "many streams, some at a time until the next look", func(t *testing.T, l *fakeLog, h *events.Hub) {
		const parts = 4
		var list []*listener
		for range (parts-1)*limits.RowsPerLook + 1 {
			list = append(list, mustOpen(t, h, l, newStream(), nil))
		}
		for _, w := range list {
			l.write(w.id)
		}
		before := l.count(events.OpHeads)
		time.Sleep(limits.StreamPoll)
		synctest.Wait()
		if n := l.count(events.OpHeads) - before; n != 1 {
			t.Errorf("%d statements at once", n)
		}
		time.Sleep(limits.StreamPoll)
		synctest.Wait()
		if n := l.count(events.OpHeads) - before; n != parts+1 {
			t.Errorf("%d statements for %d streams and the next look's first", n, len(list))
		}
		for _, w := range list {
			w.mustGet(1)
		}
	})
	bubble(t, "a restart that another barrier reported", func(t *testing.T, l *fakeLog, h *events.Hub) {
		var list []*listener
		for range 2 {
			list = append(list, mustOpen(t, h, l, newStream(), nil))
		}
		for _, w := range list {
			l.write(w.id)
		}
		// The crash and an opening come between the reading of the heads and its barrier.
		l.set(func(l *fakeLog) {
			l.after = func(events.Op) {
				l.set(func(l *fakeLog) { l.after = nil })
				l.crash()
				if _, err := h.Open(t.Context(), list[0].id, nil); models.CodeOf(err) != models.CodeUnavailable {
					t.Errorf("Open after the restart: %v", err)
				}
				for _, w := range list {
					l.write(w.id)
				}
			}
		})
		time.Sleep(limits.StreamPoll)
		for _, w := range list {
			w.mustGet(0)
		}
		time.Sleep(limits.StreamPoll)
		for _, w := range list {
			w.mustGet(1)
		}
	})
	bubble(t, "failure and recovery", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		l.commit(id, limits.StreamRing+10)
		l.set(func(l *fakeLog) { l.down = true })
		time.Sleep(5 * limits.StreamPoll)
		w.mustGet(0)
		if _, err := h.Open(t.Context(), id, nil); models.CodeOf(err) != models.CodeUnavailable {
			t.Errorf("Open: %v", err)
		}
		h.Committed(l.commit(id, 1)) // far ahead: the gap cannot be read
		time.Sleep(limits.StreamPoll)
		w.mustGet(0)
		l.set(func(l *fakeLog) { l.down = false })
		time.Sleep(2 * limits.StreamPoll)
		w.mustGet(limits.StreamRing + 11)
		if h.Stats().Failures == 0 {
			t.Error("no failure was counted")
		}
	})
	bubble(t, "a page that fails is read later", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 2*limits.StreamPage)
		l.set(func(l *fakeLog) {
			l.before = func(op events.Op) { l.set(func(l *fakeLog) { l.down = op == events.OpBarrier }) }
		})
		// The barrier's turn sets the log down for the read that follows it.
		w := mustOpen(t, h, l, id, at(l, id, 0))
		w.mustGet(0)
		l.set(func(l *fakeLog) { l.before, l.down = nil, false })
		time.Sleep(limits.StreamPoll)
		w.mustGet(2 * limits.StreamPage)
	})
	bubble(t, "another epoch", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 3)
		w := mustOpen(t, h, l, id, nil)
		old := w.feed.Position()
		l.set(func(l *fakeLog) { l.epoch = events.Epoch{2} })
		time.Sleep(limits.StreamPoll)
		w.mustEnd(models.CodeCursorExpired)
		if _, err := h.Open(t.Context(), id, &old); models.CodeOf(err) != models.CodeCursorExpired {
			t.Errorf("the old cursor: %v", err)
		}
		fresh := mustOpen(t, h, l, id, nil)
		h.Committed(l.commit(id, 1))
		fresh.mustGet(1)
	})
	bubble(t, "another epoch, found by who opens", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		l.set(func(l *fakeLog) { l.epoch = events.Epoch{2} })
		fresh := mustOpen(t, h, l, id, nil)
		w.mustEnd(models.CodeCursorExpired)
		h.Committed(l.commit(id, 1))
		fresh.mustGet(1)
	})
	bubble(t, "a log that became shorter", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 3)
		w := mustOpen(t, h, l, id, nil)
		l.set(func(l *fakeLog) { l.rows[id], l.order, l.durable = l.rows[id][:1], l.order[:1], 1 })
		time.Sleep(limits.StreamPoll)
		w.mustEnd(models.CodeCursorExpired)
	})
}

func TestBus(t *testing.T) {
	t.Parallel()
	two := func(t *testing.T, name string, f func(t *testing.T, l *fakeLog, bus *events.Memory, a, b *events.Hub)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, bus := newLog(), &events.Memory{}
				a, _ := mustRun(t, l, bus)
				b, _ := mustRun(t, l, bus)
				f(t, l, bus, a, b)
			})
		})
	}
	two(t, "wakes the other node", func(t *testing.T, l *fakeLog, _ *events.Memory, a, b *events.Hub) {
		id := newStream()
		w := mustOpen(t, b, l, id, nil)
		a.Committed(l.commit(id, 3))
		w.mustGet(3)
	})
	two(t, "two nodes write one stream", func(t *testing.T, l *fakeLog, _ *events.Memory, a, b *events.Hub) {
		id := newStream()
		w := mustOpen(t, b, l, id, nil)
		first, second := l.commit(id, 1), l.commit(id, 1)
		b.Committed(second)
		w.mustGet(0)
		a.Committed(first)
		if got := w.mustGet(2); got[0].Message != first[0].Message {
			t.Error("order")
		}
	})
	two(t, "an own echo reads nothing", func(t *testing.T, l *fakeLog, _ *events.Memory, a, _ *events.Hub) {
		id := newStream()
		w := mustOpen(t, a, l, id, nil)
		made := l.commit(id, 2)
		a.Committed(made[1:])
		w.mustGet(0)
		a.Committed(made[:1])
		w.mustGet(2)
		if n := l.count(events.OpRead); n != 0 {
			t.Errorf("%d reads", n)
		}
	})
	two(t, "an announcement the log does not bear out", func(t *testing.T, l *fakeLog, bus *events.Memory, a, _ *events.Hub) {
		id := newStream()
		w := mustOpen(t, a, l, id, nil)
		bus.Publish(t.Context(), []models.StreamHead{{ID: id, Head: 2}})
		w.mustGet(0)
		l.write(id) // not durable
		time.Sleep(limits.StreamPoll / 2)
		w.mustGet(0)
		a.Committed(l.commit(id, 1))
		time.Sleep(limits.StreamPoll / 2)
		w.mustGet(2)
	})
}

func TestManyOpenAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, "statements, not clients", func(t *testing.T, l *fakeLog, h *events.Hub) {
		const clients, missed = 10_000, 3
		ids := make([]models.StreamID, clients)
		for i := range ids {
			ids[i] = newStream()
			l.commit(ids[i], 5)
		}
		l.set(func(l *fakeLog) {
			l.before = func(events.Op) { time.Sleep(2 * time.Millisecond) }
		})
		var wg sync.WaitGroup
		var taken atomic.Int64
		for _, id := range ids {
			wg.Go(func() {
				f, err := h.Open(t.Context(), id, at(l, id, 5-missed))
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				defer f.Close()
				woken := make(chan struct{}, 1)
				f.Attach(func() {
					select {
					case woken <- struct{}{}:
					default:
					}
				})
				for n := 0; n < missed; {
					got, err := f.Take(t.Context(), limits.PushBatch)
					if err != nil {
						t.Errorf("Take: %v", err)
						return
					}
					if n += len(got); len(got) == 0 {
						<-woken
					}
					taken.Add(int64(len(got)))
				}
			})
		}
		wg.Wait()
		if n := taken.Load(); n != clients*missed {
			t.Errorf("%d events", n)
		}
		total := 0
		for _, op := range []events.Op{events.OpEpoch, events.OpHeads, events.OpRead, events.OpBarrier} {
			total += l.count(op)
		}
		if total > 60 {
			t.Errorf("%d statements: %v", total, l.calls)
		}
		if s := h.Stats(); s.Held != 0 || s.Feeds != 0 {
			t.Errorf("%+v", s)
		}
	})
	bubble(t, "feeds of one stream share a page", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, limits.StreamPage)
		var opened sync.WaitGroup
		list := make([]*listener, 100)
		l.set(func(l *fakeLog) { l.before = func(events.Op) { time.Sleep(time.Millisecond) } })
		for i := range list {
			opened.Go(func() { list[i] = mustOpen(t, h, l, id, at(l, id, int64(i))) })
		}
		opened.Wait()
		time.Sleep(time.Second / 2)
		l.set(func(l *fakeLog) { l.before = nil })
		for i, w := range list {
			w.mustGet(limits.StreamPage - i)
		}
		if n := l.count(events.OpRead); n > 2 {
			t.Errorf("%d reads", n)
		}
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		h, stop := mustRun(t, l, &events.Memory{})
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.set(func(l *fakeLog) { l.before = func(events.Op) { time.Sleep(time.Millisecond) } })
		if _, err := h.Open(ctx, id, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Open: %v", err)
		}
		stop()
		w.mustEnd(models.CodeUnavailable)
		if _, err := h.Open(t.Context(), id, nil); models.CodeOf(err) != models.CodeUnavailable {
			t.Errorf("Open after Run: %v", err)
		}
		h.Committed(l.commit(id, 1))
		if err := h.Run(t.Context()); err == nil {
			t.Error("a second Run")
		}
	})
}
