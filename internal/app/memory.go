package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"clientele/limits"
)

// tidy gives back what a burst left behind once it is quiet (ADR 0020): the collector runs when
// the heap has doubled, and after ten thousand clients came and fell silent nothing makes it. While
// it works, until ctx ends, it also holds limits.Ballast bytes that nobody ever touches: they are no
// memory of the system's, but the collector counts them, so a small heap is not collected for every
// few megabytes of garbage.
func tidy(ctx context.Context) {
	ballast := make([]byte, limits.Ballast)
	defer runtime.KeepAlive(ballast)
	t := time.NewTicker(limits.QuietTime)
	defer t.Stop()
	last := readHeap()
	for {
		select {
		case <-t.C:
			now := readHeap()
			if now.isUntidy(last) {
				debug.FreeOSMemory()
				now = readHeap()
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
	live   uint64 // bytes that the last one found in use, the ballast too
	used   uint64 // bytes of objects, in use or not, the ballast too
	free   uint64 // bytes that are kept for objects to come
}

func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	return heap{cycles: s[0].Value.Uint64(), live: s[1].Value.Uint64(), used: s[2].Value.Uint64(), free: s[3].Value.Uint64()}
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
	return back >= limits.QuietGarbage && back >= (h.live-min(h.live, limits.Ballast))/part
}
