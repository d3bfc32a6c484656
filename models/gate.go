package models

import "time"

// Gate is what keeps the messages of an account back while its channel is away (rule G6, ADR
// 0016). There is a row only while that is so: without one, the gate is open. A gate whose pause
// has ended is half open: it lets one message through to try, and is open again once the channel
// answered.
type Gate struct {
	AccountID Key `gorm:"column:account_id;primaryKey"`
	// Failures is how often in a row the channel did not answer; 0: the gate is open.
	Failures int `gorm:"column:failures"`
	// Since is when it first did not.
	Since Time `gorm:"column:since"`
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

// Try says that a message is being tried from now on, for at most d.
func (g *Gate) Try(now Time, d time.Duration) { g.PausedUntil = now.Add(d) }

// Fail says that the channel did not answer a message that was claimed when the gate had seen
// so many failures; the next pause is d long. It reports false, and changes nothing, when another
// message has told the same since: calls that were under way together count once.
func (g *Gate) Fail(seen int, now Time, d time.Duration) bool {
	if seen != g.Failures {
		return false
	}
	if g.IsOpen() {
		g.Since = now
	}
	g.Failures++
	g.PausedUntil = now.Add(d)
	return true
}
