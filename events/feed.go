package events

import (
	"context"

	"clientele/models"
)

// Feed is one listener's position in a stream. Attach, Take, Position and Close are called by
// one goroutine at a time; the hub works on the feed from others meanwhile. A feed holds no
// goroutine. It must be closed.
//
// The fields are guarded by stream.mu. Their size is what a listener costs; keep it small.
type Feed struct {
	stream *stream
	wake   func()
	pos    int64          // the number of the last event taken
	page   []models.Event // read from the log for this feed, the next is pos+1
	err    *models.Error  // how the feed ended
	index  int32          // in stream.feeds
	// armed is set by Take and cleared by a wake: one wake per Take is enough.
	armed   bool
	waiting bool // a page is being read
	opening bool // pos is not known yet
	closed  bool
}

// Attach makes the hub call wake when there may be something to take: at most once between two
// calls of Take, from any goroutine, under no lock of the hub. What was there already wakes from
// within Attach. wake must not block: it runs on the goroutine of a writer. One that is under
// way when Close is called may still come after it.
func (f *Feed) Attach(wake func()) {
	s := f.stream
	s.mu.Lock()
	f.wake = wake
	now := f.armed && s.ready(f)
	if now {
		f.armed = false
	}
	s.mu.Unlock()
	if now {
		wake()
	}
}

// Take returns the next events, at most limit and at least one, and moves the position past
// them; (nil, nil) when there are none in hand, and then a wake follows as soon as there are.
// It never waits and does no I/O. When it returns limit events there may be more: take again.
//
// The events are shared and must not be changed. Those that came with a fresh commit carry
// Primed for limits.PrimedFor.
//
// A feed ends with a *models.Error that every later Take returns again: CURSOR_EXPIRED when
// retention has deleted what is next, or the log has another history (rule N4); UNAVAILABLE
// when the hub stopped; INTERNAL when the log lacks an event that it must have. After Close,
// Take returns (nil, nil).
func (f *Feed) Take(_ context.Context, limit int) ([]models.Event, error) {
	s := f.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	f.armed = true
	switch {
	case f.closed || limit < 1:
		return nil, nil
	case f.err != nil:
		return nil, f.err
	case len(f.page) > 0:
		return s.hub.skipped(f.takePage(limit)), nil
	case s.ring.has(f.pos + 1):
		return s.hub.skipped(f.takeRing(limit)), nil
	case f.waiting || f.pos >= s.last:
		return nil, nil
	case f.pos < s.floor:
		f.fail(expired("the events after the cursor are no longer kept"))
		return nil, f.err
	}
	f.waiting = true
	s.hub.queue.page(f)
	return nil, nil
}

func (f *Feed) takePage(limit int) []models.Event {
	n := min(limit, len(f.page))
	taken := f.page[:n:n]
	f.pos += int64(n)
	if f.page = f.page[n:]; len(f.page) == 0 {
		f.page = nil
	}
	f.stream.hub.held.Add(-int64(n))
	f.stream.hub.fromLog.Add(int64(n))
	return taken
}

func (f *Feed) takeRing(limit int) []models.Event {
	s := f.stream
	now := models.At(s.hub.now())
	// While events are missing, one of them may have taken the customer away (rule V5).
	unsure := s.wants()
	taken := make([]models.Event, min(int64(limit), s.last-f.pos))
	for i := range taken {
		f.pos++
		e := s.ring.at(f.pos)
		unprime(e, now)
		taken[i] = *e
		if unsure {
			taken[i].Primed = nil
		}
	}
	s.hub.fromRing.Add(int64(len(taken)))
	return taken
}

// Position is where the feed stands: a cursor that continues after the last event taken, or,
// before any was, from where the feed was opened.
func (f *Feed) Position() Cursor {
	f.stream.mu.Lock()
	defer f.stream.mu.Unlock()
	return Cursor{Epoch: f.stream.epoch, Stream: f.stream.id.Stream, Seq: f.pos}
}

// Cursor is the text of the cursor that continues after the event numbered seq of this feed.
func (f *Feed) Cursor(seq int64) string {
	c := f.Position()
	c.Seq = seq
	return EncodeCursor(c)
}

// Close ends the feed and frees what it holds. It may be called more than once.
func (f *Feed) Close() {
	s := f.stream
	s.mu.Lock()
	if f.closed {
		s.mu.Unlock()
		return
	}
	f.closed, f.wake = true, nil
	f.release()
	end := len(s.feeds) - 1
	moved := s.feeds[end]
	s.feeds[f.index], moved.index = moved, f.index
	s.feeds[end] = nil
	s.feeds = s.feeds[:end]
	s.mu.Unlock()
	s.hub.feeds.Add(-1)
	if end == 0 {
		s.hub.forget(s)
	}
}

// fail ends the feed; stream.mu is held.
func (f *Feed) fail(err *models.Error) {
	if f.err != nil || f.closed {
		return
	}
	f.err = err
	f.release()
	if err.Code == models.CodeCursorExpired {
		f.stream.hub.expired.Add(1)
	}
}

func (f *Feed) release() {
	f.stream.hub.held.Add(-int64(len(f.page)))
	f.page, f.waiting = nil, false
}
