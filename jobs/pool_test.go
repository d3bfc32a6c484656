package jobs

import (
	"testing"

	"clientele/models"
)

// Ensure a queue that a worker found empty is looked at again as soon as something was queued:
// before or after the worker gave it back.
func TestPoolWake(t *testing.T) {
	id := models.StreamID{Account: models.NewKey(), Stream: models.NewKey()}
	again := func(p *pool) bool {
		select {
		case <-p.again:
			return true
		default:
			return false
		}
	}
	for _, tt := range []struct {
		name          string
		woken, seen   bool
		passed, again bool
	}{
		{"nothing was queued", false, true, true, false},
		{"queued, and looked for", true, true, false, true},
		{"queued, and not looked for yet", true, false, false, false},
	} {
		p := newPool(4)
		p.take([]models.StreamID{id}, nil)
		if tt.woken {
			p.wake()
		}
		if tt.seen && !p.has(id) {
			t.Errorf("%s: not in hand", tt.name)
		}
		p.release(id, true)
		if got := again(p); got != tt.again {
			t.Errorf("%s: looks again at once: %t", tt.name, got)
		}
		if got := p.has(id); got != tt.passed {
			t.Errorf("%s: passed: %t", tt.name, got)
		}
		p.wake()
		if _, _, busy := p.state(); p.has(id) || len(busy) != 0 {
			t.Errorf("%s: still passed after a wake; %v", tt.name, busy)
		}
	}
}
