package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"clientele/limits"
)

// tidy gives back what a burst left behind once it is quiet (ADR 0020): the collector runs when
// the heap has doubled, and after ten thousand clients came and fell silent nothing makes it. It also
// holds a ballast while the heap is small. It works until ctx ends.
func tidy(ctx context.Context, b *ballast) {
	b.hold()
	defer b.drop()
	t := time.NewTicker(limits.QuietTime)
	defer t.Stop()
	last := readHeap(b)
	for {
		select {
		case <-t.C:
			now := readHeap(b)
			if now.isUntidy(last) {
				debug.FreeOSMemory()
				now = readHeap(b)
			}
			switch {
			case now.live > limits.Ballast:
				b.drop()
			case now.live < limits.Ballast/2:
				b.hold()
			}
			last = now
		case <-ctx.Done():
			return
		}
	}
}

// heap is what the runtime says of its heap; reading it stops nobody.
type heap struct {
	cycles uint64 // collections since the process began
	live   uint64 // bytes that the last one found in use
	used   uint64 // bytes of objects, in use or not
	free   uint64 // bytes that are kept for objects to come
}

// readHeap reads them, without what is ballast.
func readHeap(b *ballast) heap {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	held := b.held.Load()
	less := func(v uint64) uint64 { return v - min(v, held) }
	return heap{cycles: s[0].Value.Uint64(), live: less(s[1].Value.Uint64()), used: less(s[2].Value.Uint64()), free: s[3].Value.Uint64()}
}

// ballast is limits.Ballast bytes that nobody ever touches: they are no memory of the system's, but
// the collector counts them, so a small heap is not collected for every few megabytes of garbage.
// The zero ballast holds none. hold and drop are one goroutine's.
type ballast struct {
	bytes []byte
	held  atomic.Uint64 // how many; anybody may read it
}

func (b *ballast) hold() {
	if b.bytes == nil {
		b.bytes = make([]byte, limits.Ballast)
		b.held.Store(limits.Ballast)
	}
}

func (b *ballast) drop() {
	b.bytes = nil
	b.held.Store(0)
}

// isUntidy reports whether nothing was collected since last, and at least limits.QuietGarbage and
// a quarter of what is in use could be given back.
func (h heap) isUntidy(last heap) bool {
	if h.cycles != last.cycles {
		return false // there is work: the collector comes by itself
	}
	back := h.free
	if h.used > h.live {
		back += h.used - h.live
	}
	const part = 4
	return back >= limits.QuietGarbage && back >= h.live/part
}
