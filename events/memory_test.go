package events_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"clientele/events"
	"clientele/models"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	var bus events.Memory
	heads := []models.StreamHead{{ID: newStream(), Head: 1}}
	bus.Publish(t.Context(), heads)
	var a, b int
	cancelA := bus.Subscribe(func(got []models.StreamHead) { a += len(got) })
	var cancelB func()
	cancelB = bus.Subscribe(func(got []models.StreamHead) {
		b += len(got)
		cancelB() // from inside a call
	})
	bus.Publish(t.Context(), heads)
	bus.Publish(t.Context(), heads)
	cancelA()
	cancelA()
	bus.Publish(t.Context(), heads)
	if a != 2 || b != 1 {
		t.Errorf("%d and %d", a, b)
	}
}

func TestMemoryConcurrent(t *testing.T) {
	t.Parallel()
	var bus events.Memory
	var heard atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				cancel := bus.Subscribe(func([]models.StreamHead) { heard.Add(1) })
				bus.Publish(t.Context(), nil)
				cancel()
			}
		})
	}
	wg.Wait()
	if heard.Load() < 1_600 {
		t.Errorf("%d", heard.Load())
	}
	n := heard.Load()
	bus.Publish(t.Context(), nil)
	if heard.Load() != n {
		t.Error("somebody still listens")
	}
}
