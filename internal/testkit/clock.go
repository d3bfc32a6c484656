package testkit

import (
	"sync"
	"time"

	"clientele/models"
)

// Start is the instant at which every Clock begins: a Monday, nine in the morning in Shanghai,
// far from the borders of its day, month and year.
var Start = time.Date(2026, time.March, 2, 1, 0, 0, 0, time.UTC)

// Clock is a clock that moves when it is told to. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a clock that stands at Start.
func NewClock() *Clock { return &Clock{now: Start} }

// Now is the clock's instant: what store.Options.Now takes.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Time is the clock's instant as rows hold it.
func (c *Clock) Time() models.Time { return models.At(c.Now()) }

// Set moves the clock to an instant, forwards or back.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance moves the clock by d and answers its new instant.
func (c *Clock) Advance(d time.Duration) models.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return models.At(c.now)
}
