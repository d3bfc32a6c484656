package events

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
)

// errAgain answers an opening whose stream ended while it waited: Open registers anew.
var errAgain = errors.New("the stream began anew")

// opening is a feed whose position is not known yet. answer takes one value and never blocks.
type opening struct {
	feed   *Feed
	after  *Cursor
	answer chan<- error
}

// queue is what waits for the catch-up worker. There is no timer: all that gathers while one
// batch runs goes together into the next. Its lock is taken last and held for an append.
type queue struct {
	mu     sync.Mutex
	batch  batch
	gaps   []*stream // streams that give a late writer gapWait
	parked []*Feed   // pages whose reading failed; tried again with the next poll
	signal chan struct{}
}

// batch is the work of one run of the worker.
type batch struct {
	opens []opening
	fills []*stream
	pages []*Feed
}

func (q *queue) open(o opening) {
	q.mu.Lock()
	q.batch.opens = append(q.batch.opens, o)
	q.mu.Unlock()
	notify(q.signal)
}

func (q *queue) page(f *Feed) {
	q.mu.Lock()
	q.batch.pages = append(q.batch.pages, f)
	q.mu.Unlock()
	notify(q.signal)
}

// fill asks for the missing events of s, whose lock is held.
func (q *queue) fill(s *stream) {
	if s.filling {
		return
	}
	s.filling = true
	q.mu.Lock()
	q.batch.fills = append(q.batch.fills, s)
	q.mu.Unlock()
	notify(q.signal)
}

// gap asks for the missing events of s in a while. One timer serves all the gaps that open
// while it runs: some wait a little less.
func (q *queue) gap(s *stream) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gaps = append(q.gaps, s)
	if len(q.gaps) == 1 {
		time.AfterFunc(gapWait, q.closeGaps)
	}
}

func (q *queue) closeGaps() {
	q.mu.Lock()
	gaps := q.gaps
	q.gaps = nil
	q.mu.Unlock()
	for _, s := range gaps {
		s.mu.Lock()
		s.gapped = false
		if s.wants() {
			q.fill(s)
		}
		s.mu.Unlock()
	}
}

func (q *queue) park(feeds []*Feed) {
	q.mu.Lock()
	q.parked = append(q.parked, feeds...)
	q.mu.Unlock()
}

// retry gives what failed another try.
func (q *queue) retry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.parked) > 0 {
		q.batch.pages = append(q.batch.pages, q.parked...)
		q.parked = nil
		notify(q.signal)
	}
}

// take empties the queue; with all, of what is parked too.
func (q *queue) take(all bool) batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.batch
	q.batch = batch{}
	if all {
		q.parked = nil
	}
	return b
}

// work is the catch-up worker.
func (h *Hub) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.queue.signal:
		}
		b := h.queue.take(false)
		if len(b.opens)+len(b.fills)+len(b.pages) == 0 {
			continue
		}
		h.batches.Add(1)
		h.admit(ctx, &b)
		for todo := tickets(b); len(todo) > 0; {
			var more []*ticket
			for some := range slices.Chunk(todo, limits.StreamsPerRead) {
				more = append(more, h.read(ctx, some)...)
			}
			todo = more
		}
	}
}

// admit gives the openings of b their positions: one read of the epoch, one of the heads for
// each limits.StreamsPerRead streams, one barrier. The pages they need join b.
func (h *Hub) admit(ctx context.Context, b *batch) {
	if len(b.opens) == 0 {
		return
	}
	// What was in hand before the heads are read: a log that ends before it is another one.
	inHand := make(map[*stream]int64, len(b.opens))
	ids := make([]models.StreamID, 0, len(b.opens))
	for _, o := range b.opens {
		s := o.feed.stream
		if _, seen := inHand[s]; !seen {
			s.mu.Lock()
			inHand[s] = s.last
			s.mu.Unlock()
			ids = append(ids, s.id)
		}
	}
	began := h.failedBarriers()
	epoch, err := h.readEpoch(ctx)
	var heads map[models.StreamID]models.StreamHead
	if err == nil {
		heads, err = h.readHeads(ctx, ids)
	}
	if err == nil {
		err = h.barrier(ctx, began)
	}
	for _, o := range b.opens {
		if err != nil {
			o.answer <- unavailable()
			continue
		}
		s := o.feed.stream
		head, found := heads[s.id]
		if !found {
			head.ID = s.id
		}
		h.admitOne(o, epoch, head, inHand[s], b)
	}
}

func (h *Hub) admitOne(o opening, epoch Epoch, head models.StreamHead, inHand int64, b *batch) {
	f, s := o.feed, o.feed.stream
	s.mu.Lock()
	if s.dead || f.closed {
		s.mu.Unlock()
		o.answer <- errAgain // nobody waits for a closed one's answer
		return
	}
	if s.synced && (s.epoch != epoch || head.Head < inHand) {
		s.mu.Unlock()
		h.kill(s, expired("the event log has another history now"))
		o.answer <- errAgain
		return
	}
	if !s.synced {
		s.sync(epoch, head)
	}
	s.durable = max(s.durable, head.Head)
	s.floor = max(s.floor, head.Floor)
	var err *models.Error
	if f.pos = head.Head; o.after != nil {
		f.pos, err = o.after.Seq, o.after.Continue(epoch, s.floor, s.durable)
	}
	if err == nil {
		f.opening = false
		if f.pos < s.last && !s.ring.has(f.pos+1) {
			f.waiting = true
			b.pages = append(b.pages, f)
		}
		if s.wants() && !s.filling {
			s.filling = true
			b.fills = append(b.fills, s)
		}
	}
	s.mu.Unlock()
	if err != nil {
		h.expired.Add(1)
		o.answer <- err
		return
	}
	o.answer <- nil
}

// ticket is what one stream wants of the log: the events it misses, pages for feeds, or both.
type ticket struct {
	stream *stream
	fill   bool
	feeds  []*Feed
	// What was asked, and how far the stream was known to reach then.
	filling     bool
	after, upTo int64
	inHand      int64
}

// tickets groups the work of b by stream, so that feeds of one stream share what is read.
func tickets(b batch) []*ticket {
	list := make([]*ticket, 0, len(b.fills)+len(b.pages))
	byStream := make(map[*stream]*ticket, cap(list))
	of := func(s *stream) *ticket {
		t := byStream[s]
		if t == nil {
			t = &ticket{stream: s}
			byStream[s] = t
			list = append(list, t)
		}
		return t
	}
	for _, s := range b.fills {
		of(s).fill = true
	}
	for _, f := range b.pages {
		t := of(f.stream)
		t.feeds = append(t.feeds, f)
	}
	return list
}

// next decides what to ask for; false when nothing is left to. The events that all listeners
// wait for come first, then the page of the feed that is furthest behind.
func (t *ticket) next() (ok bool, wakes []func()) {
	s := t.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filling = false
	if s.dead {
		return false, nil
	}
	t.feeds = slices.DeleteFunc(t.feeds, func(f *Feed) bool { return !f.waiting })
	t.inHand = s.last
	t.filling = false
	if t.fill && s.wants() {
		t.after, t.upTo = s.missing()
		if t.upTo-t.after > limits.StreamRing {
			s.jump(t.upTo)
			wakes = s.collect(nil)
			t.inHand = s.last
			t.after, t.upTo = s.missing()
		}
		t.filling = s.wants()
	}
	if t.filling {
		s.filling = true
		return true, wakes
	}
	t.fill = false
	if len(t.feeds) == 0 {
		return false, wakes
	}
	t.after, t.upTo = s.last, s.last
	for _, f := range t.feeds {
		t.after = min(t.after, f.pos)
	}
	return true, wakes
}

// read serves each ticket one range with one statement, and returns those that want more. When
// the reading fails, pages are parked and fills left to the next poll.
func (h *Hub) read(ctx context.Context, list []*ticket) (more []*ticket) {
	asked := make([]*ticket, 0, len(list))
	ranges := make([]models.StreamRange, 0, len(list))
	for _, t := range list {
		ok, wakes := t.next()
		if ok {
			asked = append(asked, t)
			ranges = append(ranges, models.StreamRange{ID: t.stream.id, After: t.after, UpTo: t.upTo})
		}
		for _, wake := range wakes {
			wake()
		}
	}
	if len(asked) == 0 {
		return nil
	}
	free := (heldEvents - h.held.Load()) / int64(len(asked))
	rows, err := h.readLog(ctx, ranges, int(min(max(free, limits.PushBatch), limits.StreamPage)))
	if err != nil {
		h.postpone(asked)
		return nil
	}
	var missing []*ticket
	for _, t := range asked {
		// Rows after a hole are left: what is in the hole is judged when the hole comes first.
		got := consecutive(rows[t.stream.id], t.after)
		switch {
		case len(got) == 0:
			missing = append(missing, t)
			continue
		case t.filling:
			t.stream.filled(got)
		default:
			h.paged(t, got)
		}
		more = append(more, t)
	}
	return append(more, h.explain(ctx, missing)...)
}

func consecutive(rows []models.Event, after int64) []models.Event {
	n := 0
	for n < len(rows) && rows[n].Seq == after+1+int64(n) {
		n++
	}
	return rows[:n]
}

// filled appends the events that were read for all listeners.
func (s *stream) filled(rows []models.Event) {
	s.mu.Lock()
	s.absorb(rows)
	wakes := s.collect(nil)
	s.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
}

// paged gives every waiting feed whose next event is among rows its share of them.
func (h *Hub) paged(t *ticket, rows []models.Event) {
	// The statement's rows are one large array; a slow feed must not keep all of it.
	rows = slices.Clone(rows)
	s := t.stream
	s.mu.Lock()
	for _, f := range t.feeds {
		if skip := f.pos - t.after; f.waiting && skip < int64(len(rows)) {
			f.page, f.waiting = rows[skip:], false
			h.held.Add(int64(len(f.page)))
		}
	}
	wakes := s.collect(nil)
	s.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
}

// postpone leaves to the next poll what could not be read.
func (h *Hub) postpone(list []*ticket) {
	for _, t := range list {
		t.stream.mu.Lock()
		t.stream.filling = false
		t.stream.mu.Unlock()
		h.queue.park(t.feeds)
	}
}

// explain asks the heads why events that should be there are not; by the floor, never by the
// rows that are left, it is decided whether retention has passed.
func (h *Hub) explain(ctx context.Context, list []*ticket) (more []*ticket) {
	if len(list) == 0 {
		return nil
	}
	ids := make([]models.StreamID, len(list))
	for i, t := range list {
		ids[i] = t.stream.id
	}
	heads, err := h.readHeads(ctx, ids)
	if err != nil {
		h.postpone(list)
		return nil
	}
	for _, t := range list {
		if h.judge(t, heads[t.stream.id]) {
			more = append(more, t)
		}
	}
	return more
}

// judge decides what becomes of a ticket whose events are missing, and reports whether there
// is more to do for its stream.
func (h *Hub) judge(t *ticket, head models.StreamHead) bool {
	s := t.stream
	s.mu.Lock()
	s.floor = max(s.floor, head.Floor)
	var end *models.Error
	switch {
	case head.Head < t.inHand:
		end = expired("the event log has another history now")
	case t.filling && head.Head < t.upTo && len(s.early) > 0:
		end = expired("the event log has another history now") // it lacks what a writer committed
	case t.filling && head.Head < t.upTo:
		// Something was announced that is not there. Believe the log; if it comes, it is
		// announced again or found by the poll.
		h.log.Error("an announced event is not in the log", "stream", s.id.Stream, "announced", t.upTo, "head", head.Head)
		if s.durable == t.upTo {
			s.durable = s.last
		}
	case t.after < head.Floor && t.filling:
		s.jump(s.durable)
	case t.after < head.Floor:
		for _, f := range t.feeds {
			if f.waiting && f.pos < s.floor {
				f.fail(expired("the events after the cursor are no longer kept"))
			}
		}
	default:
		end = models.Errorf(models.CodeInternal, "an event is missing from the log")
		h.log.Error("an event is missing from the log", "stream", s.id.Stream, "seq", t.after+1, "head", head.Head, "floor", head.Floor)
	}
	wakes := s.collect(nil)
	s.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
	if end != nil {
		h.kill(s, end)
	}
	return end == nil
}
