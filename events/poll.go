package events

import (
	"context"
	"errors"
	"slices"
	"time"

	"clientele/limits"
	"clientele/models"
)

// poll looks every limits.StreamPoll at the heads of all open streams. It alone is enough to
// deliver everything: announcements only make it sooner.
func (h *Hub) poll(ctx context.Context) {
	tick := time.NewTicker(limits.StreamPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.pollOnce(ctx)
		h.queue.retry()
	}
}

// errStale is a reading that another goroutine's failed barrier has made doubtful.
var errStale = errors.New("a barrier failed since the reading began")

// seen is what was known of a stream before the database was asked.
type seen struct {
	stream *stream
	epoch  Epoch
	inHand int64
}

// pollOnce looks at some streams at a time, spread over the time until the next look: thousands at
// once would hold up for a moment whoever else uses the database.
func (h *Hub) pollOnce(ctx context.Context) {
	known := h.sweep()
	if len(known) == 0 {
		return
	}
	// The epoch is read after the streams' own: where they differ, the log's is the newer.
	epoch, err := h.readEpoch(ctx)
	if err == nil {
		known = slices.DeleteFunc(known, func(k seen) bool {
			if k.epoch == epoch {
				return false
			}
			h.kill(k.stream, expired("the cursor is from before the event log was restored"))
			return true
		})
	}
	parts := (len(known) + limits.RowsPerLook - 1) / limits.RowsPerLook
	for part := range slices.Chunk(known, limits.RowsPerLook) {
		if err == nil {
			err = h.pollHeads(ctx, part)
		}
		// Also what an earlier failure has left, and even when the log fails again just now: the
		// catch-up worker finds out for itself.
		for _, k := range part {
			k.stream.mu.Lock()
			if k.stream.wants() {
				h.queue.fill(k.stream)
			}
			k.stream.mu.Unlock()
		}
		if err == nil && parts > 1 {
			rest(ctx, limits.StreamPoll/time.Duration(parts+1))
		}
	}
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// sweep lists the open streams that are under way, and frees what they need no longer.
func (h *Hub) sweep() []seen {
	h.mu.RLock()
	open := h.open()
	h.mu.RUnlock()
	now := models.At(h.now())
	known := make([]seen, 0, len(open))
	for _, s := range open {
		s.mu.Lock()
		if s.synced && !s.dead {
			s.trim(now)
			known = append(known, seen{s, s.epoch, s.last})
		}
		s.mu.Unlock()
	}
	return known
}

// pollHeads raises the durable numbers of at most limits.RowsPerLook streams to what their heads
// were before a barrier.
func (h *Hub) pollHeads(ctx context.Context, known []seen) error {
	ids := make([]models.StreamID, len(known))
	for i, k := range known {
		ids[i] = k.stream.id
	}
	began := h.failedBarriers()
	heads, err := h.readHeads(ctx, ids)
	if err != nil {
		return err
	}
	ahead := false
	for _, k := range known {
		head, s := heads[k.stream.id], k.stream
		if head.Head < k.inHand {
			h.kill(s, expired("the event log has another history now"))
			continue
		}
		s.mu.Lock()
		s.floor = max(s.floor, head.Floor)
		ahead = ahead || head.Head > s.durable
		s.mu.Unlock()
	}
	if !ahead {
		return nil
	}
	if err := h.barrier(ctx, began); err != nil {
		return err
	}
	for _, k := range known {
		k.stream.mu.Lock()
		k.stream.durable = max(k.stream.durable, heads[k.stream.id].Head)
		k.stream.mu.Unlock()
	}
	return nil
}

// The calls of the Reader, each with a deadline and counted.

func (h *Hub) readEpoch(ctx context.Context) (epoch Epoch, err error) {
	err = h.call(ctx, OpEpoch, 0, func(ctx context.Context) error {
		epoch, err = h.reader.Epoch(ctx)
		return err
	})
	return epoch, err
}

func (h *Hub) readHeads(ctx context.Context, ids []models.StreamID) (map[models.StreamID]models.StreamHead, error) {
	heads := make(map[models.StreamID]models.StreamHead, len(ids))
	for some := range slices.Chunk(ids, limits.StreamsPerRead) {
		err := h.call(ctx, OpHeads, len(some), func(ctx context.Context) error {
			list, err := h.reader.Heads(ctx, some)
			for _, head := range list {
				heads[head.ID] = head
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// readLog reads the ranges and sorts the rows by stream.
func (h *Hub) readLog(ctx context.Context, ranges []models.StreamRange, perStream int) (map[models.StreamID][]models.Event, error) {
	byStream := make(map[models.StreamID][]models.Event, len(ranges))
	err := h.call(ctx, OpRead, len(ranges), func(ctx context.Context) error {
		rows, err := h.reader.Read(ctx, ranges, perStream)
		if err != nil {
			return err
		}
		for run := range runs(rows) {
			byStream[run[0].ID()] = run
		}
		return nil
	})
	return byStream, err
}

func (h *Hub) barrier(ctx context.Context, began int) error {
	failed := <-h.barriers
	defer func() { h.barriers <- failed }()
	if err := h.call(ctx, OpBarrier, 0, h.reader.Barrier); err != nil {
		failed++
		return err
	}
	if failed != began {
		return errStale
	}
	return nil
}

// failedBarriers is taken before a reading that barrier is to make durable.
func (h *Hub) failedBarriers() int {
	failed := <-h.barriers
	h.barriers <- failed
	return failed
}

func (h *Hub) call(ctx context.Context, op Op, streams int, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limits.OperationTime)
	defer cancel()
	start := h.now()
	err := f(limited)
	h.observe(op, streams, h.now().Sub(start), err)
	if err != nil && ctx.Err() == nil {
		h.failures.Add(1)
		h.log.Warn("the event log cannot be read", "op", op, "streams", streams, "error", err)
	}
	return err
}
