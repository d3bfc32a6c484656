package events_test

import (
	"fmt"
	"runtime"
	"testing"

	"clientele/events"
	"clientele/models"
)

// BenchmarkCommittedFanOut is one event handed to n feeds of its stream and taken by each. An
// operation is one event to all.
func BenchmarkCommittedFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			id := newStream()
			h, feeds := mustFeeds(b, n, func(int) models.StreamID { return id })
			e := models.Event{Account: id.Account, Stream: id.Stream}
			b.ReportAllocs()
			for b.Loop() {
				e.Seq++
				h.Committed([]models.Event{e})
				for _, f := range feeds {
					if got, err := f.Take(b.Context(), 1); len(got) != 1 || err != nil {
						b.Fatalf("%v, %v", got, err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/feed")
		})
	}
}

// BenchmarkCommittedUnheard is an event of a stream that nobody listens to, beside 10,000 that
// somebody does.
func BenchmarkCommittedUnheard(b *testing.B) {
	h, _ := mustFeeds(b, 10_000, func(int) models.StreamID { return newStream() })
	id := newStream()
	made := []models.Event{{Account: id.Account, Stream: id.Stream}}
	b.ReportAllocs()
	for b.Loop() {
		made[0].Seq++
		h.Committed(made)
	}
}

// BenchmarkCursor is a cursor written and read again.
func BenchmarkCursor(b *testing.B) {
	c := events.Cursor{Epoch: events.Epoch{1}, Stream: models.NewKey(), Seq: 1 << 30}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.DecodeCursor(events.EncodeCursor(c), "after"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleFeed opens 10,000 feeds, each of its own stream; B/feed is what one keeps.
func BenchmarkIdleFeed(b *testing.B) {
	const n = 10_000
	ids := make([]models.StreamID, n)
	for i := range ids {
		ids[i] = newStream()
	}
	used := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := used()
		_, feeds := mustFeeds(b, n, func(i int) models.StreamID { return ids[i] })
		b.ReportMetric((used()-before)/n, "B/feed")
		for _, f := range feeds {
			f.Close()
		}
	}
}

func mustFeeds(b *testing.B, n int, id func(int) models.StreamID) (*events.Hub, []*events.Feed) {
	b.Helper()
	h, _ := mustRun(b, newLog(), nil)
	feeds := make([]*events.Feed, n)
	for i := range feeds {
		f, err := h.Open(b.Context(), id(i), nil)
		if err != nil {
			b.Fatal(err)
		}
		f.Attach(func() {})
		feeds[i] = f
	}
	return h, feeds
}
