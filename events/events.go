// Package events feeds subscriptions from the event log.
//
// The log is a table: each stream numbers its events 1, 2, 3 … in commit order (rule N4). The
// Hub reads it through a Reader that package store implements, keeps the newest events of the
// streams somebody listens to, and hands each listener (a Feed) every event after its position
// once, in order, without a gap, however the events reached this node: from a writer of this
// process (Hub.Committed), by a word from another node (Bus), or from the poll of the heads,
// which alone is enough.
//
// Two rules govern what may be handed out. An event a reader can see may still be lost in a
// crash of the database, and its number used again; so a stream is served only up to a number
// whose durability is known: one that a writer announced after its COMMIT had returned, or one
// that was read and then followed by Reader.Barrier. And a feed that cannot go on without
// leaving something out ends with CURSOR_EXPIRED; it never skips.
//
// A feed costs its position and a few words. There are three goroutines whatever the number of
// feeds: the poller, the catch-up worker, the publisher.
package events

import (
	"context"

	"clientele/limits"
	"clientele/models"
)

// Epoch tells one history of the log from another: it changes when a backup has been restored
// or a replica promoted, and cursors of another epoch are expired (rule N4).
type Epoch = [8]byte

// Reader is the event log as the hub reads it, on the primary and never inside an older
// snapshot: whatever was committed before a call began is seen by it. It must be safe for
// concurrent use; two calls run at a time. The hub limits each call to limits.OperationTime.
type Reader interface {
	// Epoch is the log's present epoch.
	Epoch(ctx context.Context) (Epoch, error)
	// Heads reads the heads and floors of at most limits.StreamsPerRead distinct streams in one
	// statement. A stream that is not in the log is left out: its head is 0.
	Heads(ctx context.Context, ids []models.StreamID) ([]models.StreamHead, error)
	// Read reads at most perStream events of each of at most limits.StreamsPerRead ranges, the
	// lowest numbers first, ordered by stream and number. No two ranges are of one stream.
	Read(ctx context.Context, ranges []models.StreamRange, perStream int) ([]models.Event, error)
	// Barrier commits a heartbeat row. When it returns nil, everything that was read before it
	// was called is durable, because the engine writes its log in order. It must fail when the
	// database restarted since the last call of it, or since the Reader was made: what was read
	// before the restart may be gone. (A connection of its own, never replaced within a call,
	// does that: it is lost with the server.) The hub calls it once at a time.
	Barrier(ctx context.Context) error
}

// Bus carries the numbers of committed events to the other nodes. It is a wake-up and no more:
// what it loses arrives a limits.StreamPoll later. A nil Bus is one node alone.
type Bus interface {
	// Publish tells the other nodes. Every number in heads is durable; Floor means nothing. At
	// most limits.StreamsPerRead heads come in one call. A failure is the bus's own to log.
	Publish(ctx context.Context, heads []models.StreamHead)
	// Subscribe calls heard with what any node published, this one included, until cancel is
	// called; a call that is under way then may still end after cancel returned. heard may be
	// called from any goroutine and does not block.
	Subscribe(heard func(heads []models.StreamHead)) (cancel func())
}

// Op names a call of the Reader, for metrics.
type Op string

// The calls of a Reader.
const (
	OpEpoch   Op = "epoch"
	OpHeads   Op = "heads"
	OpRead    Op = "read"
	OpBarrier Op = "barrier"
)

// Stats is what a hub counted since it was made, and what it holds now.
type Stats struct {
	Feeds    int64 // Feeds is how many feeds are open.
	Streams  int64 // Streams is how many streams are open.
	Held     int64 // Held is how many events of the log wait for slow feeds.
	FromRing int64 // FromRing counts events handed out that were in hand.
	FromLog  int64 // FromLog counts events handed out that were read again.
	Batches  int64 // Batches counts runs of the catch-up worker.
	Gaps     int64 // Gaps counts announcements that came before an earlier number.
	Expired  int64 // Expired counts feeds and openings that ended with CURSOR_EXPIRED.
	Failures int64 // Failures counts calls of the Reader that failed.
}

const (
	// gapWait is how long a number that was overtaken by a later one may still come from its
	// writer before it is read from the log. Both have been committed, so the first writer is
	// between its COMMIT and its call; long waits would only help a node that is overloaded.
	gapWait = limits.StreamPoll / 200
	// heldEvents is how many events read from the log may wait for feeds to take them before
	// pages shrink to limits.PushBatch: one full statement. It bounds memory when many feeds
	// are far behind at the same time.
	heldEvents = limits.StreamsPerRead * limits.StreamPage
)

// expired is the answer to a cursor that the log cannot continue from.
func expired(why string) *models.Error {
	return models.Errorf(models.CodeCursorExpired, "%s; read a snapshot and go on from its cursor", why)
}

// unavailable is the answer while the log cannot be read; the client tries again.
func unavailable() *models.Error {
	return models.Errorf(models.CodeUnavailable, "the event log cannot be read now; resume from your cursor")
}
