package models

import "time"

// Time is an instant: microseconds since 1970-01-01 UTC, kept in BIGINT. Zero means "never".
// It becomes text only at the API's border. (Text and DATETIME columns bring zones, precision
// and, in SQLite, an order that is not the order of time: ADR 0005.)
type Time int64

// At is t as a Time, cut to the microsecond.
func At(t time.Time) Time { return Time(t.UnixMicro()) }

// Go is t as a time.Time in UTC. Zero stays the zero time.Time.
func (t Time) Go() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// Add is t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// Sub is how long t is after u; negative when it is before.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// IsZero reports whether t means "never".
func (t Time) IsZero() bool { return t == 0 }
