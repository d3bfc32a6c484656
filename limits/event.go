package limits

import "time"

// Events, streams and push.
const (
	// EventRetention is how long an event can be read again, where the account does not say. It may say
	// no less. Source: rule N4.
	EventRetention = 7 * 24 * time.Hour
	// EventRetentionMost is the longest that an account may say.
	EventRetentionMost = 90 * 24 * time.Hour
	// StreamPoll is how often a node reads the heads of its open streams. Source: ADR 0004.
	StreamPoll = 2 * time.Second
	// StreamRing is how many of a stream's newest events a node keeps while somebody listens;
	// a reader further behind reads the database.
	StreamRing = 64
	// StreamPage is how many events of one stream a catch-up reads at a time.
	StreamPage = 200
	// KeysPerRound is at how many keys no more join a statement that many share: opening
	// subscriptions, and subscriptions that catch up. What joins last may go over it by its own
	// keys, a turn's events at most.
	KeysPerRound = 500
	// RowsPerLook is how many streams or advisors one statement of what is looked at again and again
	// asks for: few, so that it holds up nobody. Source: ADR 0004.
	RowsPerLook = 100
	// StreamsPerRead is how many streams one catch-up statement asks for.
	StreamsPerRead = 500
	// PrimedFor is how long rows that came with a fresh commit may answer instead of the
	// database; older ones are read again, so that a reader who lags sees present permissions.
	PrimedFor = time.Second
	// PushBatch is how many responses of one subscription are made before the next one's turn.
	PushBatch = 16
	// WriteDeadline is how long one write to a client may take before the connection is closed.
	// Source: rule N5.
	WriteDeadline = 10 * time.Second
	// ReservationLife is how long a reserved event stream waits to be opened. Source: rule N4.
	ReservationLife = 10 * time.Second
	// ReservationsPerBearer is the most reserved event streams of one bearer on a node, open ones
	// included. Source: rule N4.
	ReservationsPerBearer = 16
	// ConnectionsPerBearer is the most WebSockets and event streams together that one bearer has open
	// on a node. Source: rule X2.
	ConnectionsPerBearer = 250
	// Strangers is the most WebSockets of a node that have no connection_ack yet. Enforced by
	// internal/transport. Source: rule X2.
	Strangers = 5_000
	// StrangersPerAddress is the same of one address, of IPv6 one network of 64 bits. This machine's own
	// is not counted. Enforced by internal/transport. Source: rule X2.
	StrangersPerAddress = 500
	// InitBytes is the largest message over a WebSocket before connection_ack, in bytes. Enforced by
	// internal/transport. Source: rule X2.
	InitBytes = 16 << 10
	// AppLease is how long an advisor's app counts as open after its last renewal. Source: rule N3.
	AppLease = 30 * time.Second
	// AppPing is the time between pings to a client; one that does not answer is gone before the
	// next one's, well within AppLease.
	AppPing = 10 * time.Second
	// ClockSkew is how far the clocks of two nodes may differ without an inquiry being lost; one
	// too many may be made of what came within it.
	ClockSkew = 5 * time.Second
	// AppLeaseRenewal is how often open apps renew their lease.
	AppLeaseRenewal = 10 * time.Second
	// PolicyRecheck is the longest time until a revoked token or removed advisor loses an open
	// subscription. Source: rule V1.
	PolicyRecheck = 5 * time.Second
	// SendBufferBytes is how much of what was written to a client the system keeps until the
	// client takes it, in bytes, before its own doubling: with one response it is all that a
	// reader who has stopped costs. Source: rule N5.
	SendBufferBytes = 64 << 10
)
