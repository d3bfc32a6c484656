package limits

import "time"

// The write path and the jobs.
const (
	// AuditActionBytes and AuditSubjectBytes are what the columns of the audit log hold. Source: rule R5.
	AuditActionBytes  = 64
	AuditSubjectBytes = 255
	// QuietTime is how often the product looks whether it may give memory back: nothing was
	// collected in that time. Source: ADR 0020.
	QuietTime = 10 * time.Second
	// QuietGarbage is the least that is worth a collection then, in bytes. Source: ADR 0020.
	QuietGarbage = 8 << 20
	// Ballast is how many bytes the collector is made to count beside what is in use, while that is no
	// more: a process that holds little may have as much garbage before it is collected. Source: ADR 0020.
	Ballast = 16 << 20
	// BatchRows is the most rows of one lane's transaction, and of one look of a sweep.
	BatchRows = 100
	// StatementRows is the most rows that one statement writes: what a bulk call of BindBatch
	// tells of each customer, a line of the history and three of the log of changes.
	StatementRows = 2_000
	// StatementValues is the most values that one statement carries; SQLite takes 32,766, MySQL
	// 65,535.
	StatementValues = 30_000
	// StatementBytes is at how many bytes, with the values beside it, no more rows join a statement; servers take 16 MiB.
	StatementBytes = 4 << 20
	// Lanes is how many transactions of inbound items a node has under way at most.
	Lanes = 4
	// LaneBatch is how many items must wait for another transaction to begin beside one that is
	// under way. Measured: docs/performance.md.
	LaneBatch = 32
	// LaneWait is how long an item waits for that before it goes without.
	LaneWait = 50 * time.Millisecond
	// LaneQueue is how many items wait, for each of Lanes, before a caller is told UNAVAILABLE.
	LaneQueue = 4_096
	// WriteAttempts is how often one transaction runs when the engine reports a deadlock, a
	// lock timeout or a busy database.
	WriteAttempts = 8
	// LockWait is how long a statement waits for a row lock.
	LockWait = 5 * time.Second
	// StatementTime is how long a statement that reads may run on the server, whoever asked; contexts end it long before,
	// unless its node is gone. Source: ADR 0038.
	StatementTime = 5 * time.Minute
	// KillTime is how long a node tries to end a statement that nobody waits for. Source: ADR 0038.
	KillTime = 5 * time.Second
	// DeliveryLease is how long a worker holds a customer's outbound queue. It is more than a claim,
	// a call and the recording of its outcome take together (OperationTime, ChannelTime,
	// OperationTime) by clocks that differ by ClockSkew. Source: ADR 0016.
	DeliveryLease = 60 * time.Second
	// DeliveryPoll is how often the delivery job looks for queues that nobody woke it for.
	DeliveryPoll = time.Second
	// DeliveryBatch is how many accounts one look for due queues considers, and the most queues of
	// which it asks.
	DeliveryBatch = 100
	// DeliveryWorkers is how many queues one node empties at the same time. A worker spends most of
	// its time waiting for the channel.
	DeliveryWorkers = 64
	// DeliveryWorkersPerAccount is how many of them one account may have, and at most half of them:
	// calls of one account that stall leave the others theirs. Source: ADR 0016.
	DeliveryWorkersPerAccount = 16
	// DeliveryTryShare is the part of a node's workers, one in so many and at least one, that may be
	// trying channels that are away, of all accounts together. Source: ADR 0016.
	DeliveryTryShare = 4
	// DeliveryAttempts is how often a message is handed to a channel that cannot be reached
	// before it FAILED. Source: rule G6.
	DeliveryAttempts = 15
	// DeliveryWait is how long a message waits for a channel that is away all the while before it
	// FAILED; looked at with each fruitless attempt of its account. Source: rule G6.
	DeliveryWait = 10 * time.Minute
	// DeliveryBackoff is the longest wait after the first fruitless attempt; it doubles with each,
	// up to DeliveryBackoffMax. Half of it is certain, half is chance.
	DeliveryBackoff = time.Second
	// DeliveryBackoffMax is the longest wait between attempts.
	DeliveryBackoffMax = time.Minute
	// DeliveryRepeat is the longest pause before what a channel answered is recorded again when the
	// database would not take it; half of it is certain, half is chance.
	DeliveryRepeat = 500 * time.Millisecond
	// RelayPoll is how often events of accounts are looked for that wait for their numbers and that
	// nobody woke the relay for. Source: ADR 0026.
	RelayPoll = time.Second
	// RelayRows is the most of them that one transaction moves.
	RelayRows = 500
	// JobPoll is how often jobs are looked for that nobody woke the workers for.
	JobPoll = time.Second
	// JobWorkers is how many jobs one node works at, at the same time.
	JobWorkers = 4
	// JobLease is how long a worker holds a job after each chunk: more than a chunk takes
	// (ChannelTime, OperationTime) by clocks that differ by ClockSkew. Source: ADR 0024.
	JobLease = 30 * time.Second
	// JobTurn is how many chunks of a job a worker does before jobs that have waited longer go first.
	JobTurn = 20
	// JobScan is how many customers a chunk looks at for those that its filter selects. Source: rule E9.
	JobScan = 20_000
	// JobCount is up to how many items are counted when a job begins; of more the total is not known.
	JobCount = 100_000
	// JobCountTime is how long that may take.
	JobCountTime = 2 * time.Second
	// JobFaults is how often one chunk may fail in a way that may pass before its job FAILED.
	JobFaults = 20
	// JobRest is the longest that a job waits because the platform will not answer before: a day, by a clock
	// of its own.
	JobRest = 25 * time.Hour
	// FollowersInfo is of how many followers the platform tells in one call, and how many a chunk of an import of followers
	// deals with. Source: WeChat official account documentation, user/info/batchget.
	FollowersInfo = 100
	// FollowersPage is how many followers a page of the platform's list has at most. Source: user/get.
	FollowersPage = 10_000
	// OriginPatience is how long what becomes of a follower waits for the platform to say where they come from. Source: rule E3.
	OriginPatience = 10 * time.Minute
	// OriginKept is how long the platform is asked for the unionid of a follower.
	OriginKept = 3 * 24 * time.Hour
	// FollowersKept is how many such pages a node keeps for jobs that are at them, some 0.5 MB each.
	FollowersKept = 32
	// JobItems is how many failed items of a job are kept as rows; all are counted.
	JobItems = 10_000
	// JobsPerAccount is how many jobs of one account may be QUEUED or RUNNING. Enforced in the
	// transaction under the account's row lock.
	JobsPerAccount = 100
	// JobLife is how long a job can be read after it ended.
	JobLife = 30 * 24 * time.Hour
	// JWKSRefresh is how often a key set is read again. Source: rule V1.
	JWKSRefresh = 10 * time.Minute
	// JWKSAgain is how often at most, for a kid that is not known.
	JWKSAgain = 30 * time.Second
	// JWKSTime is how long that may take.
	JWKSTime = 10 * time.Second
	// JWKSBytes is the largest key set.
	JWKSBytes = 256 << 10
	// JWKSKeys is the most keys of a key set.
	JWKSKeys = 100
	// EraseAfterDays is after how many days who stopped following is erased when the account does not say.
	// Source: rule E12.
	EraseAfterDays = 30
	// EraseAfterDaysMost is the most days that an account may say, at least 1.
	EraseAfterDaysMost = 3_650
	// EraseRows is the most rows that one transaction of an erasure blanks.
	EraseRows = 500
	// EraseLease is how long a node that erases keeps others from it.
	EraseLease = 30 * time.Second
	// EraseRetry is when an erasure is looked at again that waits for the file of an image. Source: rule E13.
	EraseRetry = 10 * time.Second
	// UnfollowInterval is how often who stopped following is looked for, of all nodes together.
	UnfollowInterval = time.Minute
	// AuditItemsRead is of how many entries of the audit log an export reads the items together.
	AuditItemsRead = 20
	// ExportPage is the most records of one exportCustomer call. Source: rule E13.
	ExportPage = 1_000
	// SearchRunes is the longest text to search customers for, in characters. Source: rule E9.
	SearchRunes = 64
	// GramsPerCall is how many grams of customers one bulk call may add and take away: a matter of seconds. Who
	// writes 500 customers two hundred characters of info each comes nowhere near it.
	GramsPerCall = 250_000
	// GramsAsked is how many grams of a searched text are looked at for the one that the fewest customers have.
	GramsAsked = 8
	// GramLook is up to how many customers of each are counted for that.
	GramLook = 1_000
	// ImportBytes is the largest file of an import. Source: rule E11.
	ImportBytes = 1 << 30
	// ImportPartBytes is the most bytes of a file that one call uploads: in base64 they fit into BodyBytes.
	ImportPartBytes = 512 << 10
	// ImportRecordBytes is the longest record of a file: every column filled to its limit is shorter.
	ImportRecordBytes = 64 << 10
	// ImportsOpen is how many imports of an account may be uploading or worked at. Enforced in the
	// transaction under the account's row lock.
	ImportsOpen = 10
	// ImportRecords is how many records a chunk of an import deals with.
	ImportRecords = 2_000
	// ImportAdvisors is how many records a chunk of an import of advisors deals with, under the account's row lock.
	ImportAdvisors = 500
	// ImportWindow is how many bytes of a file a chunk reads: more than ImportRecordBytes.
	ImportWindow = 512 << 10
	// ImportMessageIDBytes is the longest name that a merchant gives a past message, in bytes.
	ImportMessageIDBytes = 128
	// ImportLife is how long an import that was not started is kept after its last part.
	ImportLife = 24 * time.Hour
	// SweepInterval is how often expired invitations and lapsed app leases are looked for.
	SweepInterval = 5 * time.Second
	// ChannelTime is how long one call of a channel may take.
	ChannelTime = 10 * time.Second
)
