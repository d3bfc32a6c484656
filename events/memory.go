package events

import (
	"context"
	"slices"
	"sync"

	"clientele/models"
)

// Memory is the Bus of one process: what is published reaches every subscriber before Publish
// returns. It is safe for concurrent use; its zero value is ready.
type Memory struct {
	mu sync.RWMutex
	// subs is never changed in place, so that Publish can walk it without the lock: a
	// subscriber may subscribe or cancel while it is called.
	subs []*func([]models.StreamHead)
}

// Publish implements Bus.
func (m *Memory) Publish(_ context.Context, heads []models.StreamHead) {
	m.mu.RLock()
	subs := m.subs
	m.mu.RUnlock()
	for _, heard := range subs {
		(*heard)(heads)
	}
}

// Subscribe implements Bus. cancel may be called more than once.
func (m *Memory) Subscribe(heard func([]models.StreamHead)) (cancel func()) {
	sub := &heard
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subs = append(slices.Clip(m.subs), sub)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.subs = slices.DeleteFunc(slices.Clone(m.subs), func(s *func([]models.StreamHead)) bool { return s == sub })
	}
}
