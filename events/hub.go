package events

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"clientele/limits"
	"clientele/models"
)

// Options are what a Hub is made of besides its Reader. Every field may be left zero.
type Options struct {
	// Bus tells the other nodes; nil: there are none.
	Bus Bus
	// Now is the clock that tells how old primed rows are; the system's when nil.
	Now func() time.Time
	// Log takes failures of the database and what is wrong in the log; discarded when nil.
	Log *slog.Logger
	// Observe is told of every call of the Reader: which, for how many streams, how long it
	// took and how it failed. It is called from two goroutines and must return quickly.
	Observe func(op Op, streams int, took time.Duration, err error)
}

// Hub feeds the subscriptions of one node. All its methods are safe for concurrent use.
type Hub struct {
	reader  Reader
	bus     Bus
	now     func() time.Time
	log     *slog.Logger
	observe func(op Op, streams int, took time.Duration, err error)

	mu      sync.RWMutex
	streams map[models.StreamID]*stream // the open ones: those with a feed
	stopped bool

	queue  queue
	outbox outbox
	wakes  sync.Pool // of *[]func()

	// barriers holds the number of barriers that failed; who has it out may call the next. A
	// reading that began before a failure is not vouched for by a later success: the restart
	// that was reported may lie between. (A channel, not a lock: it is held over a call of the database.)
	barriers chan int

	running                                       atomic.Bool
	feeds, held, fromRing, fromLog, batches, gaps atomic.Int64
	expired, failures                             atomic.Int64
}

// New makes a hub over the log that reader reads. It does nothing until Run is called.
func New(reader Reader, o Options) *Hub {
	h := &Hub{reader: reader, bus: o.Bus, now: o.Now, log: o.Log, observe: o.Observe}
	if h.now == nil {
		h.now = time.Now
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.observe == nil {
		h.observe = func(Op, int, time.Duration, error) {}
	}
	h.streams = map[models.StreamID]*stream{}
	h.barriers = make(chan int, 1)
	h.barriers <- 0
	h.queue.signal = make(chan struct{}, 1)
	h.outbox.signal = make(chan struct{}, 1)
	h.wakes.New = func() any { return new([]func()) }
	return h
}

// Run feeds until ctx ends, and returns nil then; by that time every feed has ended with
// UNAVAILABLE, and Open answers the same from then on. A failing database does not end it: what
// failed is tried again every limits.StreamPoll. It may be called once.
func (h *Hub) Run(ctx context.Context) error {
	if h.running.Swap(true) {
		return errors.New("a hub runs once")
	}
	var wg sync.WaitGroup
	wg.Go(func() { h.poll(ctx) })
	wg.Go(func() { h.work(ctx) })
	if h.bus != nil {
		defer h.bus.Subscribe(h.heard)()
		wg.Go(func() { h.publish(ctx) })
	}
	wg.Wait()
	h.stop()
	return nil
}

// Committed takes the events of a transaction whose COMMIT has returned, in the order of their
// numbers for each stream, and hands them to who listens; Primed are the rows that came with
// them. Calls of several writers may overtake one another. For a stream nobody listens to it is
// a look into a map. Each event must be handed over once it is certain to be durable and never
// before; one that is not handed over at all is found by the poll.
//
// The wake functions of feeds run before it returns. The slice remains the caller's.
func (h *Hub) Committed(events []models.Event) {
	buffer := h.wakes.Get().(*[]func()) //nolint:forcetypeassert // the pool holds nothing else.
	wakes := (*buffer)[:0]
	for run := range runs(events) {
		id := run[0].ID()
		if s := h.lookup(id); s != nil {
			s.mu.Lock()
			for _, e := range run {
				s.commit(e)
			}
			wakes = s.collect(wakes)
			if s.wants() && !s.gapped && !s.filling {
				s.gapped = true
				h.gaps.Add(1)
				h.queue.gap(s)
			}
			s.mu.Unlock()
		}
		// Last, so that the bus's echo finds the events in hand.
		if h.bus != nil {
			h.outbox.add(id, run)
		}
	}
	for _, wake := range wakes {
		wake()
	}
	clear(wakes) // or the pool would keep closed feeds alive
	*buffer = wakes[:0]
	h.wakes.Put(buffer)
}

// runs cuts events where the stream changes.
func runs(events []models.Event) func(yield func([]models.Event) bool) {
	return func(yield func([]models.Event) bool) {
		for len(events) > 0 {
			n := 1
			for n < len(events) && events[n].Stream == events[0].Stream && events[n].Account == events[0].Account {
				n++
			}
			if !yield(events[:n]) {
				return
			}
			events = events[n:]
		}
	}
}

// Open makes a feed of the stream id. With after nil it begins at the head: it gives every
// event that commits after Open returned. Otherwise it gives every event after that cursor.
//
// Open waits for the database, together with all that open at the same time, and needs Run. It
// fails with a *models.Error: CURSOR_EXPIRED when events after the cursor have been deleted, or
// the cursor is beyond the head or of another epoch (rule N4); INVALID when the cursor is of
// another stream; UNAVAILABLE when the log cannot be read or the hub has stopped. And with
// ctx's error when ctx ends. Whether the viewer may listen is the caller's question.
func (h *Hub) Open(ctx context.Context, id models.StreamID, after *Cursor) (*Feed, error) {
	if after != nil && after.Stream != id.Stream {
		return nil, models.Invalid("after", "a cursor of another stream")
	}
	for {
		f, answer, ok := h.register(id, after)
		if !ok {
			return nil, unavailable()
		}
		var err error
		select {
		case err = <-answer:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			return f, nil
		}
		f.Close()
		if !errors.Is(err, errAgain) {
			return nil, err
		}
	}
}

// register puts a new feed into its stream before the head is read, so that nothing which
// commits in between escapes it.
func (h *Hub) register(id models.StreamID, after *Cursor) (*Feed, <-chan error, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, nil, false
	}
	s := h.streams[id]
	if s == nil {
		s = &stream{hub: h, id: id}
		h.streams[id] = s
	}
	f := &Feed{stream: s, armed: true, opening: true}
	s.mu.Lock()
	f.index = int32(len(s.feeds)) //nolint:gosec // memory ends before two billion feeds.
	s.feeds = append(s.feeds, f)
	s.mu.Unlock()
	h.feeds.Add(1)
	answer := make(chan error, 1)
	h.queue.open(opening{feed: f, after: after, answer: answer})
	return f, answer, true
}

// Stats is what the hub counted. It is cheap enough to be asked for by every scrape.
func (h *Hub) Stats() Stats {
	h.mu.RLock()
	streams := len(h.streams)
	h.mu.RUnlock()
	return Stats{
		Feeds: h.feeds.Load(), Streams: int64(streams), Held: h.held.Load(), FromRing: h.fromRing.Load(), FromLog: h.fromLog.Load(),
		Batches: h.batches.Load(), Gaps: h.gaps.Load(), Expired: h.expired.Load(), Failures: h.failures.Load(),
	}
}

func (h *Hub) lookup(id models.StreamID) *stream {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.streams[id]
}

// forget removes s when its last feed has closed, unless another opened meanwhile.
func (h *Hub) forget(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.feeds) == 0 && !s.dead {
		s.dead = true
		delete(h.streams, s.id)
	}
}

// kill ends every feed of s with err; who opens the stream next begins anew.
func (h *Hub) kill(s *stream, err *models.Error) {
	h.mu.Lock()
	s.mu.Lock()
	if !s.dead {
		s.dead = true
		delete(h.streams, s.id)
	}
	for _, f := range s.feeds {
		if !f.opening {
			f.fail(err)
		}
	}
	s.ring, s.early = ring{}, nil
	wakes := s.collect(nil)
	s.mu.Unlock()
	h.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
}

// stop ends all feeds once the goroutines of Run have returned.
func (h *Hub) stop() {
	h.mu.Lock()
	h.stopped = true
	open := h.open()
	h.mu.Unlock()
	for _, s := range open {
		h.kill(s, unavailable())
	}
	for _, o := range h.queue.take(true).opens {
		o.answer <- unavailable()
	}
}

// open lists the open streams; mu is held.
func (h *Hub) open() []*stream {
	open := make([]*stream, 0, len(h.streams))
	for _, s := range h.streams {
		open = append(open, s)
	}
	return open
}

// heard takes what a node announced. Its number is durable, and whoever wrote it, this process
// did not, or will not say so soon: it is fetched at once.
func (h *Hub) heard(heads []models.StreamHead) {
	for _, head := range heads {
		s := h.lookup(head.ID)
		if s == nil {
			continue
		}
		s.mu.Lock()
		s.durable = max(s.durable, head.Head)
		// The echo of an own announcement is no news: its event is in hand, or waits in early.
		mine := slices.ContainsFunc(s.early, func(e models.Event) bool { return e.Seq == head.Head })
		if s.wants() && head.Head > s.last && !mine {
			h.queue.fill(s)
		}
		s.mu.Unlock()
	}
}

// publish sends the outbox to the bus: what gathers while one call runs goes into the next.
func (h *Hub) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.outbox.signal:
		}
		for heads := range slices.Chunk(h.outbox.take(), limits.StreamsPerRead) {
			h.bus.Publish(ctx, heads)
		}
	}
}

// outbox gathers announcements for the bus, so that no writer waits for it. It holds one number
// a stream, however slow the bus.
type outbox struct {
	mu     sync.Mutex
	heads  map[models.StreamID]int64
	signal chan struct{}
}

func (o *outbox) add(id models.StreamID, run []models.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.heads == nil {
		o.heads = map[models.StreamID]int64{}
	}
	head := o.heads[id]
	for i := range run {
		head = max(head, run[i].Seq)
	}
	o.heads[id] = head
	notify(o.signal)
}

func (o *outbox) take() []models.StreamHead {
	o.mu.Lock()
	heads := o.heads
	o.heads = nil
	o.mu.Unlock()
	list := make([]models.StreamHead, 0, len(heads))
	for id, head := range heads {
		list = append(list, models.StreamHead{ID: id, Head: head})
	}
	return list
}

// notify wakes the goroutine that waits for signal, or leaves word that it need not wait.
func notify(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
