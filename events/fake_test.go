package events_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

var (
	errDown      = errors.New("the database is down")
	errRestarted = errors.New("the database restarted")
)

// fakeLog is the event log in memory: rows become visible in one order over all streams, and
// are durable up to a point in it; a crash loses the rest, and their numbers are used again.
type fakeLog struct {
	mu      sync.Mutex
	epoch   events.Epoch
	rows    map[models.StreamID][]models.Event // index seq-1
	deleted map[models.StreamID]int64          // rows up to here are gone
	floors  map[models.StreamID]int64
	order   []models.StreamID // of what is visible
	durable int               // how much of order a crash leaves
	boots   int               // how often it was started again
	down    bool
	latency *rand.Rand // nil: none
	before  func(events.Op)
	after   func(events.Op) // of Heads, when its rows were read
	calls   map[events.Op]int
	asked   int // ranges asked for by Read
}

func newLog() *fakeLog {
	return &fakeLog{
		epoch: events.Epoch{1}, rows: map[models.StreamID][]models.Event{}, deleted: map[models.StreamID]int64{},
		floors: map[models.StreamID]int64{}, calls: map[events.Op]int{},
	}
}

func (l *fakeLog) begin(ctx context.Context, op events.Op) error {
	l.mu.Lock()
	l.calls[op]++
	down, before := l.down, l.before
	var wait time.Duration
	if l.latency != nil {
		wait = time.Duration(l.latency.IntN(int(20 * time.Millisecond)))
	}
	l.mu.Unlock()
	if before != nil {
		before(op)
	}
	if wait > 0 {
		time.Sleep(wait)
	}
	if down {
		return errDown
	}
	return ctx.Err()
}

func (l *fakeLog) Epoch(ctx context.Context) (events.Epoch, error) {
	if err := l.begin(ctx, events.OpEpoch); err != nil {
		return events.Epoch{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch, nil
}

func (l *fakeLog) Heads(ctx context.Context, ids []models.StreamID) ([]models.StreamHead, error) {
	if err := l.begin(ctx, events.OpHeads); err != nil {
		return nil, err
	}
	if len(ids) > limits.StreamsPerRead {
		return nil, errors.New("too many streams")
	}
	l.mu.Lock()
	var heads []models.StreamHead
	for _, id := range ids {
		if rows, ok := l.rows[id]; ok {
			heads = append(heads, models.StreamHead{ID: id, Head: int64(len(rows)), Floor: l.floors[id]})
		}
	}
	after := l.after
	l.mu.Unlock()
	if after != nil {
		after(events.OpHeads)
	}
	return heads, nil
}

func (l *fakeLog) Read(ctx context.Context, ranges []models.StreamRange, perStream int) ([]models.Event, error) {
	if err := l.begin(ctx, events.OpRead); err != nil {
		return nil, err
	}
	if len(ranges) > limits.StreamsPerRead || perStream < 1 || perStream > limits.StreamPage {
		return nil, errors.New("too much asked")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked += len(ranges)
	seen := map[models.StreamID]bool{}
	ranges = slices.SortedFunc(slices.Values(ranges), func(a, b models.StreamRange) int {
		return slices.Compare(a.ID.Stream[:], b.ID.Stream[:])
	})
	var got []models.Event
	for _, r := range ranges {
		if seen[r.ID] {
			return nil, errors.New("two ranges of one stream")
		}
		seen[r.ID] = true
		rows := l.rows[r.ID]
		from := max(r.After, l.deleted[r.ID])
		to := min(r.UpTo, int64(len(rows)), from+int64(perStream))
		if from < to {
			got = append(got, rows[from:to]...)
		}
	}
	return got, nil
}

// reader is the log as one node reads it: its connection is lost with the server.
type reader struct {
	*fakeLog
	boots int
}

func (r *reader) Barrier(ctx context.Context) error {
	l := r.fakeLog
	if err := l.begin(ctx, events.OpBarrier); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.boots != r.boots {
		r.boots = l.boots
		return errRestarted
	}
	l.durable = len(l.order)
	return nil
}

// write makes a row visible; it is not durable yet.
func (l *fakeLog) write(id models.StreamID, change ...func(*models.Event)) models.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := models.Event{
		Account: id.Account, Stream: id.Stream, Seq: int64(len(l.rows[id]) + 1), Kind: models.EventMessageReceived, Message: models.NewKey(),
	}
	for _, f := range change {
		f(&e)
	}
	row := e
	row.Primed = nil
	l.rows[id] = append(l.rows[id], row)
	l.order = append(l.order, id)
	return e
}

// commit writes n events whose COMMIT returned: they are durable, and all before them.
func (l *fakeLog) commit(id models.StreamID, n int, change ...func(*models.Event)) []models.Event {
	var made []models.Event
	for range n {
		made = append(made, l.write(id, change...))
	}
	l.flush()
	return made
}

func (l *fakeLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable = len(l.order)
}

// flushTo makes e durable, and all that was visible before it; false when a crash took it.
func (l *fakeLog) flushTo(e models.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rows := l.rows[e.ID()]; int64(len(rows)) < e.Seq || rows[e.Seq-1].Message != e.Message {
		return false
	}
	n := int64(0)
	for i, id := range l.order {
		if id == e.ID() {
			n++
		}
		if n == e.Seq {
			l.durable = max(l.durable, i+1)
			return true
		}
	}
	return false
}

// crash loses what is not durable.
func (l *fakeLog) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.order[l.durable:] {
		l.rows[id] = l.rows[id][:len(l.rows[id])-1]
	}
	l.order = l.order[:l.durable]
	l.boots++
}

// retain raises the floor and deletes up to deleted.
func (l *fakeLog) retain(id models.StreamID, floor, deleted int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floors[id], l.deleted[id] = floor, deleted
}

func (l *fakeLog) set(f func(*fakeLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

func (l *fakeLog) count(op events.Op) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[op]
}

// durableRow is the row of a number a crash cannot take.
func (l *fakeLog) durableRow(id models.StreamID, seq int64) (models.Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, other := range l.order[:l.durable] {
		if other == id {
			n++
		}
	}
	if seq < 1 || seq > n {
		return models.Event{}, false
	}
	return l.rows[id][seq-1], true
}

func (l *fakeLog) heads(id models.StreamID) (visible, floor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.rows[id])), l.floors[id]
}

func newStream() models.StreamID {
	return models.StreamID{Account: models.NewKey(), Stream: models.NewKey()}
}

func at(l *fakeLog, id models.StreamID, seq int64) *events.Cursor {
	return &events.Cursor{Epoch: l.epoch, Stream: id.Stream, Seq: seq}
}

// mustRun runs a hub over l until the test ends, or until stop.
func mustRun(tb testing.TB, l *fakeLog, bus events.Bus) (h *events.Hub, stop func()) {
	tb.Helper()
	h = events.New(&reader{fakeLog: l, boots: l.boots}, events.Options{Bus: bus, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background()) // stop waits for Run; Context ends too late for that.
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	tb.Cleanup(stop)
	return h, stop
}

// failer is what a listener needs of a test, also of rapid's.
type failer interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// listener is a feed and what came out of it.
type listener struct {
	tb    failer
	log   *fakeLog
	id    models.StreamID
	feed  *events.Feed
	start int64
	got   []models.Event
	woken chan struct{}
	err   error
}

func mustOpen(tb testing.TB, h *events.Hub, l *fakeLog, id models.StreamID, after *events.Cursor) *listener {
	tb.Helper()
	f, err := h.Open(tb.Context(), id, after)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return attach(tb, l, id, f)
}

func attach(tb testing.TB, l *fakeLog, id models.StreamID, f *events.Feed) *listener {
	w := &listener{tb: tb, log: l, id: id, feed: f, start: f.Position().Seq, woken: make(chan struct{}, 1)}
	tb.Cleanup(f.Close)
	f.Attach(func() {
		select {
		case w.woken <- struct{}{}:
		default:
		}
	})
	return w
}

// take takes once and checks that what comes follows, is durable and is what the log says.
func (w *listener) take(limit int) int {
	w.tb.Helper()
	got, err := w.feed.Take(w.tb.Context(), limit)
	if err != nil {
		w.err = err
		if len(got) > 0 {
			w.tb.Fatalf("events beside an error")
		}
	}
	if len(got) > limit {
		w.tb.Fatalf("%d events, asked for %d", len(got), limit)
	}
	for _, e := range got {
		want := w.start + int64(len(w.got)) + 1
		row, ok := w.log.durableRow(w.id, want)
		switch {
		case e.Seq != want:
			w.tb.Fatalf("number %d came where %d was next", e.Seq, want)
		case !ok:
			w.tb.Fatalf("number %d came before it was durable", e.Seq)
		case e.Message != row.Message:
			w.tb.Fatalf("number %d is not the one of the log", e.Seq)
		}
		w.got = append(w.got, e)
	}
	return len(got)
}

// drain takes, after each wake, until nothing is left and nothing moves any more.
func (w *listener) drain() []models.Event {
	w.tb.Helper()
	before := len(w.got)
	for w.err == nil {
		for w.err == nil && w.take(limits.PushBatch) > 0 {
		}
		synctest.Wait()
		select {
		case <-w.woken:
		default:
			return w.got[before:]
		}
	}
	return w.got[before:]
}

func (w *listener) mustGet(n int) []models.Event {
	w.tb.Helper()
	got := w.drain()
	if w.err != nil {
		w.tb.Fatalf("Take: %v", w.err)
	}
	if len(got) != n {
		w.tb.Fatalf("%d events, want %d", len(got), n)
	}
	return got
}

func (w *listener) mustEnd(code models.Code) {
	w.tb.Helper()
	w.drain()
	if models.CodeOf(w.err) != code {
		w.tb.Fatalf("the feed ended with %v, want %s", w.err, code)
	}
}
