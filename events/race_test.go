package events_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

// TestConcurrent has writers, listeners and those who come and go at work at the same time.
// Each event must reach each listener that was there once and in order.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams, writers, transactions, readers, visitors = 4, 8, 150, 3, 8
		l := newLog()
		h, _ := mustRun(t, l, &events.Memory{})
		ids := make([]models.StreamID, streams)
		for i := range ids {
			ids[i] = newStream()
		}
		var reading, writing sync.WaitGroup
		var delivered atomic.Int64
		for _, id := range ids {
			for range readers {
				w := mustOpen(t, h, l, id, nil)
				reading.Go(func() {
					for len(w.got) < writers*transactions {
						if w.take(1+rand.IntN(limits.PushBatch)) == 0 {
							if w.err != nil {
								t.Errorf("Take: %v", w.err)
								return
							}
							<-w.woken
						}
					}
					delivered.Add(int64(len(w.got)))
				})
			}
		}
		for range writers {
			writing.Go(func() {
				for range transactions {
					// One transaction may touch every stream; another's Committed may overtake.
					var made []models.Event
					for _, id := range ids {
						made = append(made, l.commit(id, 1)...)
					}
					if rand.IntN(4) == 0 {
						time.Sleep(time.Duration(rand.IntN(int(30 * time.Millisecond))))
					}
					if rand.IntN(20) > 0 { // else the writer died: the poll finds it
						h.Committed(made)
					}
				}
			})
		}
		for range visitors {
			writing.Go(func() {
				for range 40 {
					id := ids[rand.IntN(streams)]
					var after *events.Cursor
					if head, _ := l.heads(id); head > 0 && rand.IntN(2) == 0 {
						after = at(l, id, rand.Int64N(head))
					}
					f, err := h.Open(t.Context(), id, after)
					if err != nil {
						t.Errorf("Open: %v", err)
						return
					}
					w := attach(t, l, id, f)
					for range rand.IntN(20) {
						if w.take(limits.PushBatch) == 0 {
							time.Sleep(time.Millisecond)
						}
					}
					f.Close()
				}
			})
		}
		writing.Wait()
		reading.Wait()
		if want := int64(streams * readers * writers * transactions); delivered.Load() != want {
			t.Errorf("%d delivered, want %d", delivered.Load(), want)
		}
	})
}
