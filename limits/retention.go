package limits

import "time"

// Retention. Source: ADR 0018.
const (
	// RetentionPoll is how often a node asks whether a pass of deletion is due.
	RetentionPoll = time.Minute
	// RetentionInterval is the time from the beginning of one pass to the next, of all nodes
	// together.
	RetentionInterval = time.Hour
	// RetentionLease is how long a node that deletes keeps others from it without a sign of life.
	RetentionLease = 2 * time.Minute
	// RetentionRows is the most rows that one transaction deletes.
	RetentionRows = 1_000
	// RetentionAgain is how many batches of RetentionRows messages of an account one pass looks at once
	// more, behind where old ones are deleted already. Source: ADR 0039.
	RetentionAgain = 100
	// RetentionPause is the rest between two transactions that delete.
	RetentionPause = 50 * time.Millisecond
	// InboundLife is how long a callback's record recognises a repeat. The platform repeats
	// within seconds, and what is signed for more than CallbackSkew is refused. Records of a scan
	// are kept. Source: rules C2, K1.
	InboundLife = 7 * 24 * time.Hour
	// NodeLife is how long the row of a node that shows no sign of life is kept.
	NodeLife = 24 * time.Hour
)
