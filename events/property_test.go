package events_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

// world is a log, two nodes with a bus that loses messages, and listeners, moved by random
// commands. Whatever the commands: each listener gets every event after its position once, in
// order, durable, or ends with CURSOR_EXPIRED because retention has passed it.
type world struct {
	t       *testing.T
	log     *fakeLog
	nodes   []*events.Hub
	streams []models.StreamID
	// returning are transactions whose rows are visible and whose COMMIT has not returned.
	returning [][]models.Event
	// unannounced are those whose COMMIT has returned and whose writer has not told its hub.
	unannounced [][]models.Event

	mu        sync.Mutex
	listeners []*listener
	opening   sync.WaitGroup
}

// lossy is a bus that loses every third announcement.
type lossy struct {
	events.Memory
}

func (l *lossy) Subscribe(heard func([]models.StreamHead)) func() {
	return l.Memory.Subscribe(func(heads []models.StreamHead) {
		kept := slices.Clone(heads)
		kept = slices.DeleteFunc(kept, func(h models.StreamHead) bool { return h.Head%3 == 0 })
		heard(kept)
	})
}

func TestRandomInterleavings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Without the deadline of t, which may not be asked for in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			w := &world{t: t, log: newLog(), streams: []models.StreamID{newStream(), newStream()}}
			if seed := rapid.Uint64().Draw(rt, "latency"); seed%4 != 0 {
				w.log.latency = rand.New(rand.NewPCG(seed, 0))
			}
			bus := &lossy{}
			for range 2 {
				h, stop := mustRun(t, w.log, bus)
				defer stop()
				w.nodes = append(w.nodes, h)
			}
			defer func() {
				for _, l := range w.listeners {
					l.feed.Close()
				}
			}()
			rt.Repeat(map[string]func(*rapid.T){
				"write":    w.write,
				"commit":   w.commit,
				"announce": w.announce,
				"crash":    w.crash,
				"open":     w.open,
				"take":     w.take,
				"close":    w.close,
				"retain":   w.retain,
				"fail": func(rt *rapid.T) {
					down := rapid.IntRange(0, 3).Draw(rt, "down") == 0
					w.log.set(func(l *fakeLog) { l.down = down })
				},
				"sleep": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(0, 3_000).Draw(rt, "ms")) * time.Millisecond)
				},
				"settle": func(*rapid.T) { synctest.Wait() },
			})
			w.finish(rt)
		})
	})
}

func (w *world) stream(rt *rapid.T) models.StreamID {
	return rapid.SampledFrom(w.streams).Draw(rt, "stream")
}

func (w *world) write(rt *rapid.T) {
	id, n := w.stream(rt), rapid.SampledFrom([]int{1, 1, 1, 2, 5, limits.StreamRing + 1, limits.StreamPage + 1}).Draw(rt, "n")
	var made []models.Event
	for range n {
		made = append(made, w.log.write(id))
	}
	w.returning = append(w.returning, made)
}

// commit lets one COMMIT return; the engine writes its log in order, so all before are durable.
func (w *world) commit(rt *rapid.T) {
	if len(w.returning) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.returning)-1).Draw(rt, "which")
	made := w.returning[i]
	w.returning = slices.Delete(w.returning, i, i+1)
	if w.log.flushTo(made[len(made)-1]) {
		w.unannounced = append(w.unannounced, made)
	}
}

func (w *world) announce(rt *rapid.T) {
	if len(w.unannounced) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.unannounced)-1).Draw(rt, "which")
	made := w.unannounced[i]
	w.unannounced = slices.Delete(w.unannounced, i, i+1)
	if node := rapid.IntRange(0, 5).Draw(rt, "node"); node < 5 { // else its writer died
		w.nodes[node%2].Committed(made)
	}
}

func (w *world) crash(*rapid.T) { w.log.crash() }

func (w *world) open(rt *rapid.T) {
	id, h := w.stream(rt), w.nodes[rapid.IntRange(0, 1).Draw(rt, "node")]
	var after *events.Cursor
	if rapid.Bool().Draw(rt, "resume") {
		head, _ := w.log.heads(id)
		for head > 0 {
			if _, durable := w.log.durableRow(id, head); durable {
				break
			}
			head--
		}
		after = at(w.log, id, rapid.Int64Range(0, head).Draw(rt, "after"))
	}
	_, floor := w.log.heads(id)
	w.opening.Go(func() {
		f, err := h.Open(w.t.Context(), id, after)
		if err != nil {
			_, floorNow := w.log.heads(id)
			code := models.CodeOf(err)
			if code == models.CodeCursorExpired && (after == nil || after.Seq >= floorNow) || code != models.CodeCursorExpired && code != models.CodeUnavailable {
				w.t.Errorf("Open after %v with floor %d: %v", after, floorNow, err)
			}
			return
		}
		if after != nil && (after.Seq < floor || f.Position().Seq != after.Seq) {
			w.t.Errorf("Open after %v with floor %d succeeded at %d", after, floor, f.Position().Seq)
		}
		if head, _ := w.log.heads(id); f.Position().Seq > head {
			w.t.Errorf("opened at %d, the head is %d", f.Position().Seq, head)
		}
		l := attach(w.t, w.log, id, f)
		w.mu.Lock()
		w.listeners = append(w.listeners, l)
		w.mu.Unlock()
	})
}

func (w *world) pick(rt *rapid.T) (*listener, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.listeners) == 0 {
		return nil, 0
	}
	i := rapid.IntRange(0, len(w.listeners)-1).Draw(rt, "listener")
	return w.listeners[i], i
}

func (w *world) take(rt *rapid.T) {
	if l, _ := w.pick(rt); l != nil {
		l.tb = rt
		l.take(rapid.SampledFrom([]int{1, 3, limits.PushBatch, 1_000}).Draw(rt, "limit"))
	}
}

func (w *world) close(rt *rapid.T) {
	l, i := w.pick(rt)
	if l == nil {
		return
	}
	l.feed.Close()
	w.mu.Lock()
	w.listeners = slices.Delete(w.listeners, i, i+1)
	w.mu.Unlock()
}

// retain raises the floor below what is durable, and deletes some of what is under it.
func (w *world) retain(rt *rapid.T) {
	id := w.stream(rt)
	_, floor := w.log.heads(id)
	to := floor + rapid.Int64Range(0, 100).Draw(rt, "to")
	if _, durable := w.log.durableRow(id, to); !durable || to == 0 {
		return
	}
	w.log.mu.Lock()
	deleted := w.log.deleted[id]
	w.log.mu.Unlock()
	w.log.retain(id, to, rapid.Int64Range(deleted, to).Draw(rt, "deleted"))
}

// finish lets everything commit and recover; then each listener must be at the head, by its
// wakes alone.
func (w *world) finish(rt *rapid.T) {
	w.log.set(func(l *fakeLog) { l.down = false })
	w.log.flush()
	w.opening.Wait()
	time.Sleep(4 * limits.StreamPoll)
	for _, l := range w.listeners {
		l.tb = rt
		l.take(1) // a last wake may have been used up by a Take that found nothing yet
		for l.err == nil {
			before := len(l.got)
			l.drain()
			time.Sleep(time.Second)
			if len(l.got) == before && len(l.woken) == 0 {
				break
			}
		}
		head, floor := w.log.heads(l.id)
		pos := l.start + int64(len(l.got))
		switch {
		case l.err == nil && pos != head:
			rt.Fatalf("a listener that began at %d ends at %d, the head is %d", l.start, pos, head)
		case l.err != nil && (models.CodeOf(l.err) != models.CodeCursorExpired || pos >= floor):
			rt.Fatalf("a listener at %d with the floor at %d ended with %v", pos, floor, l.err)
		}
	}
	for i, h := range w.nodes {
		for _, l := range w.listeners {
			l.feed.Close()
		}
		if s := h.Stats(); s.Feeds != 0 || s.Streams != 0 || s.Held != 0 {
			rt.Fatalf("node %d keeps %+v", i, s)
		}
	}
}
