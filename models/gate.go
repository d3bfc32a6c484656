package models

import (
	"time"

	"clientele/limits"
)

// Gate is what keeps the messages of an account back while its channel is away (rule G6, ADR
// 0016). There is a row only while that is so: without one, the gate is open. A gate whose pause
// has ended is half open: it lets one message through to try, and is open again once the channel
// answered.
type Gate struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	// Failures is how often the channel did not answer since it last did; 0: the gate is open. It
	// only rises while the gate is shut: a claim tells by it what it has seen.
	Failures int `gorm:"column:failures"`
	// Since is from when on the channel was away all the while: when it first did not answer after
	// it did, or after nobody had asked it for a while.
	Since Time `gorm:"column:since"`
	// Step is how many pauses there were since then; the next is longer than the last.
	Step int `gorm:"column:step"`
	// PausedUntil is the end of the pause, or while a message is being tried the time by which
	// that is over even if its worker died.
	PausedUntil Time `gorm:"column:paused_until"`
}

// TableName names the table for the mapper.
func (Gate) TableName() string { return "outbound_gate" }

// IsOpen reports whether messages may leave freely.
func (g *Gate) IsOpen() bool { return g.Failures == 0 }

// Admits reports whether a message may be claimed at now: freely, or as the one that tries.
func (g *Gate) Admits(now Time) bool { return g.IsOpen() || g.PausedUntil <= now }

// GateSilence is how long after a pause the channel may go without being asked, and still counts as
// away all the while: a queue that failed waits as long as a pause, and a call takes its time.
const GateSilence = limits.DeliveryBackoffMax + limits.ChannelTime

// Try says that a message is being tried from now on, for at most d. If nobody asked for longer
// than GateSilence (no messages, no nodes), nothing is known of the time between: the outage is new.
func (g *Gate) Try(now Time, d time.Duration) {
	if g.PausedUntil.Add(GateSilence) < now {
		g.Since, g.Step = now, 0
	}
	g.PausedUntil = now.Add(d)
}

// Fail says that the channel did not answer a message that was claimed when the gate had seen so
// many failures; pause is how long the step-th pause of an outage is, from 1. It reports false, and
// changes nothing, when another message has told the same since: calls that were under way together
// count once.
func (g *Gate) Fail(seen int, now Time, pause func(step int) time.Duration) bool {
	if seen != g.Failures {
		return false
	}
	if g.IsOpen() {
		g.Since, g.Step = now, 0
	}
	g.Failures++
	g.Step++
	g.PausedUntil = now.Add(pause(g.Step))
	return true
}
