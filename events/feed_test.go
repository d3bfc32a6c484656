package events_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	const head, floor = 50, 20
	other := newStream()
	for name, c := range map[string]struct {
		after func(l *fakeLog, id models.StreamID) *events.Cursor
		want  int
		code  models.Code
	}{
		"at the head":        {func(*fakeLog, models.StreamID) *events.Cursor { return nil }, 0, ""},
		"after the newest":   {func(l *fakeLog, id models.StreamID) *events.Cursor { return at(l, id, head) }, 0, ""},
		"after an older one": {func(l *fakeLog, id models.StreamID) *events.Cursor { return at(l, id, head-7) }, 7, ""},
		"at the floor":       {func(l *fakeLog, id models.StreamID) *events.Cursor { return at(l, id, floor) }, head - floor, ""},
		"below the floor":    {func(l *fakeLog, id models.StreamID) *events.Cursor { return at(l, id, floor-1) }, 0, models.CodeCursorExpired},
		"beyond the head":    {func(l *fakeLog, id models.StreamID) *events.Cursor { return at(l, id, head+1) }, 0, models.CodeCursorExpired},
		"another epoch": {func(_ *fakeLog, id models.StreamID) *events.Cursor {
			return &events.Cursor{Epoch: events.Epoch{9}, Stream: id.Stream, Seq: head}
		}, 0, models.CodeCursorExpired},
		"another stream": {func(l *fakeLog, _ models.StreamID) *events.Cursor { return at(l, other, head) }, 0, models.CodeInvalid},
	} {
		bubble(t, name, func(t *testing.T, l *fakeLog, h *events.Hub) {
			id := newStream()
			l.commit(id, head)
			l.retain(id, floor, 0)
			f, err := h.Open(t.Context(), id, c.after(l, id))
			if models.CodeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if err != nil {
				if s := h.Stats(); s.Feeds != 0 || s.Streams != 0 {
					t.Errorf("left behind: %+v", s)
				}
				return
			}
			w := attach(t, l, id, f)
			w.mustGet(c.want)
			h.Committed(l.commit(id, 2))
			w.mustGet(2)
			if got, err := events.DecodeCursor(f.Cursor(head+2), "after"); err != nil || got != f.Position() || got != *at(l, id, head+2) {
				t.Errorf("position: %+v, %v", got, err)
			}
		})
	}
	bubble(t, "what commits while it opens", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 2)
		var made []models.Event
		l.set(func(l *fakeLog) {
			l.before = func(op events.Op) {
				l.set(func(l *fakeLog) { l.before = nil })
				made = l.commit(id, 2)
				h.Committed(made[1:])
			}
		})
		w := mustOpen(t, h, l, id, at(l, id, 2))
		w.mustGet(2)
	})
	bubble(t, "what commits after the head was read", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 2)
		l.set(func(l *fakeLog) {
			l.before = func(op events.Op) {
				if op == events.OpBarrier {
					l.set(func(l *fakeLog) { l.before = nil })
					h.Committed(l.commit(id, 2))
				}
			}
		})
		w := mustOpen(t, h, l, id, nil)
		w.mustGet(2)
	})
	bubble(t, "a stream with listeners that lags", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		first := mustOpen(t, h, l, id, nil)
		l.commit(id, 10) // nobody told
		second := mustOpen(t, h, l, id, nil)
		third := mustOpen(t, h, l, id, at(l, id, 4))
		h.Committed(l.commit(id, 1))
		first.mustGet(11)
		second.mustGet(1)
		third.mustGet(7)
	})
}

func TestSlowFeed(t *testing.T) {
	t.Parallel()
	bubble(t, "falls behind the ring and catches up", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		slow, quick := mustOpen(t, h, l, id, nil), mustOpen(t, h, l, id, nil)
		const n = limits.StreamPage*2 + limits.StreamRing
		for range n {
			h.Committed(l.commit(id, 1))
			quick.mustGet(1)
		}
		slow.take(1)
		h.Committed(l.commit(id, 10))
		slow.mustGet(n + 10)
		quick.mustGet(10)
		h.Committed(l.commit(id, 1))
		slow.mustGet(1)
	})
	bubble(t, "retention overtakes it", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 1_000)
		w := mustOpen(t, h, l, id, at(l, id, 0))
		synctest.Wait()
		if w.take(10) != 10 {
			t.Fatal("no page")
		}
		l.retain(id, 900, 900)
		w.mustEnd(models.CodeCursorExpired)
		if len(w.got) != limits.StreamPage {
			t.Errorf("%d events before the end", len(w.got))
		}
		if w.take(1); models.CodeOf(w.err) != models.CodeCursorExpired {
			t.Error("the end does not last")
		}
	})
	bubble(t, "retention overtakes it, half deleted", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 1_000)
		w, ahead := mustOpen(t, h, l, id, at(l, id, 0)), mustOpen(t, h, l, id, at(l, id, 950))
		l.retain(id, 900, 500)
		w.mustEnd(models.CodeCursorExpired)
		ahead.mustGet(50)
	})
	bubble(t, "retention overtakes one of two that read together", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id, busy := newStream(), newStream()
		l.commit(id, 1_000)
		l.commit(busy, 1_000)
		behind, ahead, blocker := mustOpen(t, h, l, id, at(l, id, 0)), mustOpen(t, h, l, id, at(l, id, 300)), mustOpen(t, h, l, busy, at(l, busy, 0))
		synctest.Wait()
		finish := make(chan struct{})
		l.set(func(l *fakeLog) {
			l.before = func(op events.Op) {
				if op == events.OpRead {
					<-finish
				}
			}
		})
		for _, w := range []*listener{blocker, behind, ahead} {
			w.take(limits.StreamPage)
			w.take(1) // asks for the next page
			synctest.Wait()
		}
		l.retain(id, 450, 450)
		close(finish)
		behind.mustEnd(models.CodeCursorExpired)
		ahead.mustGet(500)
	})
	bubble(t, "retention overtakes a whole stream", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		w := mustOpen(t, h, l, id, nil)
		l.commit(id, limits.StreamRing/2)
		l.retain(id, 20, 20)
		time.Sleep(limits.StreamPoll)
		w.mustEnd(models.CodeCursorExpired)
		fresh := mustOpen(t, h, l, id, at(l, id, 20))
		fresh.mustGet(limits.StreamRing/2 - 20)
	})
	bubble(t, "a hole is no end of retention", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 1_000)
		l.retain(id, 0, 300) // rows are gone, the floor does not say so
		w := mustOpen(t, h, l, id, at(l, id, 0))
		w.mustEnd(models.CodeInternal)
	})
	bubble(t, "closed while its page is read", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		l.commit(id, 100)
		started, finish := make(chan struct{}), make(chan struct{})
		l.set(func(l *fakeLog) {
			l.before = func(op events.Op) {
				if op == events.OpRead {
					close(started)
					<-finish
				}
			}
		})
		w := mustOpen(t, h, l, id, at(l, id, 0))
		<-started
		w.feed.Close()
		close(finish)
		synctest.Wait()
		if s := h.Stats(); s.Held != 0 || s.Streams != 0 || s.Feeds != 0 {
			t.Errorf("left behind: %+v", s)
		}
		select {
		case <-w.woken:
			t.Error("woken after Close")
		default:
		}
	})
	bubble(t, "many far behind share the memory", func(t *testing.T, l *fakeLog, h *events.Hub) {
		const streams = 1_200
		var wg sync.WaitGroup
		list := make([]*listener, streams)
		for i := range list {
			id := newStream()
			l.set(func(l *fakeLog) { l.before = func(events.Op) { time.Sleep(time.Millisecond) } })
			for range limits.StreamPage {
				l.write(id)
			}
			wg.Go(func() { list[i] = mustOpen(t, h, l, id, at(l, id, 0)) })
		}
		l.flush()
		wg.Wait()
		time.Sleep(time.Second / 2)
		if held := h.Stats().Held; held > limits.StreamsPerRead*limits.StreamPage+streams*limits.PushBatch {
			t.Errorf("%d events are held", held)
		}
		l.set(func(l *fakeLog) { l.before, l.order, l.durable = nil, nil, 0 })
		for _, w := range list[:3] {
			w.feed.Close()
		}
		for _, w := range list[3:] {
			n := 0
			for n < limits.StreamPage {
				got, err := w.feed.Take(t.Context(), limits.StreamPage)
				if err != nil {
					t.Fatal(err)
				}
				if n += len(got); len(got) == 0 {
					<-w.woken
				}
			}
		}
		if held := h.Stats().Held; held != 0 {
			t.Errorf("%d events are held still", held)
		}
	})
}

func TestWake(t *testing.T) {
	t.Parallel()
	bubble(t, "once between two takes", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		f, err := h.Open(t.Context(), id, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var wakes atomic.Int64
		f.Attach(func() { wakes.Add(1) })
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					h.Committed(l.commit(id, 1))
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if n := wakes.Load(); n != 1 {
			t.Errorf("%d wakes before the first Take", n)
		}
		if got, _ := f.Take(t.Context(), 1); len(got) == 0 {
			synctest.Wait() // it was behind the ring: the page wakes
		}
		h.Committed(l.commit(id, 1))
		h.Committed(l.commit(id, 1))
		if n := wakes.Load(); n != 2 {
			t.Errorf("%d wakes after it", n)
		}
	})
	bubble(t, "what came before Attach", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		f, err := h.Open(t.Context(), id, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.Committed(l.commit(id, 1))
		w := attach(t, l, id, f)
		select {
		case <-w.woken:
		default:
			t.Error("no wake")
		}
		w.mustGet(1)
	})
	bubble(t, "may take and close from the wake", func(t *testing.T, l *fakeLog, h *events.Hub) {
		id := newStream()
		f, err := h.Open(t.Context(), id, nil)
		if err != nil {
			t.Fatal(err)
		}
		f.Attach(func() {
			if got, err := f.Take(t.Context(), 1); len(got) != 1 || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			f.Close()
		})
		h.Committed(l.commit(id, 1))
		if h.Stats().Feeds != 0 {
			t.Error("not closed")
		}
	})
}

func TestFeedIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(events.Feed{}); n > 100 {
		t.Errorf("a feed takes %d bytes", n)
	}
}
