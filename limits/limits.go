// Package limits holds every number of the product, each with its unit, its source
// (a rule of docs/rules.md, or an ADR) and who enforces it. It imports nothing and knows
// nothing: a number that is written anywhere else is a mistake. Sizes that a merchant may
// tune are not limits; they are settings of internal/config, whose defaults stand here.
package limits

import "time"

// Accounts.
const (
	// AccountNameRunes is the longest account name, in runes after trimming.
	// Enforced by models.CheckName; column account.name.
	AccountNameRunes = 64
	// ViolationFreeDays is how many days back a violation keeps an account from opening.
	// Enforced by models.Account.MayOpen. Source: rule A1.
	ViolationFreeDays = 365
	// ViolationsPerCall is how many violations one recordAccountFacts call may carry.
	// Enforced by services.Accounts.
	ViolationsPerCall = 50
	// MiniPrograms is the most mini-programs that an account links, for cards. Source: rule A2.
	MiniPrograms = 50
	// TermsVersionBytes is the longest version name of terms or service rules, in bytes.
	TermsVersionBytes = 32
)

// Advisors and groups.
const (
	// AdvisorsPerAccount counts PENDING and ACTIVE advisors. Enforced in the transaction
	// of the invitation, under the account's row lock. Source: rule B1.
	AdvisorsPerAccount = 20_000
	// AdvisorNicknameRunes is the longest nickname of an advisor, in runes, at least 1.
	// Enforced by models.CheckName; column advisor.nickname. Source: rule B2.
	AdvisorNicknameRunes = 16
	// InviteBatch is the most advisors one inviteAdvisors call takes. Source: rule B2.
	InviteBatch = 200
	// InvitationLife is how long an invitation may be answered. Source: rule B3.
	InvitationLife = 24 * time.Hour
	// GroupsPerAccount is the most groups of one account. Enforced in the transaction under
	// the account's row lock. Source: rule D1.
	GroupsPerAccount = 200
	// AdvisorsPerGroup is the most members of one group. Enforced in the transaction under
	// the group's row lock. Source: rule D1.
	AdvisorsPerGroup = 200
	// GroupNameRunes is the longest group name, in runes, at least 1. Source: rule D1.
	GroupNameRunes = 32
	// AvatarURLBytes is the longest avatar address, in bytes.
	AvatarURLBytes = 512
	// WechatIDBytes is the longest WeChat id of a person, in bytes.
	WechatIDBytes = 64
	// ExternalIDBytes is the longest id that a merchant's own system gives an advisor, in bytes.
	ExternalIDBytes = 64
)

// Images.
const (
	// ImageBytes is the largest image, in bytes. Enforced by services.UploadImages. Source: rule H6.
	ImageBytes = 10 << 20
	// ImagePixels is the most pixels of an image, its width times its height, read before any pixel. Source: rule H6.
	ImagePixels = 50_000_000
	// ImageFramePixels is the most pixels of all frames of a GIF together: so much is unpacked to see whether it is whole.
	ImageFramePixels = 100_000_000
	// ImageFrames is the most frames of a GIF.
	ImageFrames = 10_000
	// ImageDecodeBytes is the most memory, in bytes, that the pixels of one image take: a JPEG that needs more is looked over without being
	// unpacked, and no image that needs more is put into a code.
	ImageDecodeBytes = 160 << 20
	// ImagesDecodedAtOnce is how many images a node looks over, or unpacks for codes, at the same time; one of them for an account.
	ImagesDecodedAtOnce = 2
	// ImagesPerCall is the most files one uploadImages call takes, and one request. Source: rule H6.
	ImagesPerCall = 10
	// ImagesPerAccount is the most images that an account keeps, ImageMiBPerAccount how many MiB they are together. Enforced under the account's
	// row lock.
	ImagesPerAccount   = 200_000
	ImageMiBPerAccount = 51_200
	// ImagesPerAdvisorDay is the most images that an advisor uploads in any ImageDay, so that one cannot fill the account's room. Enforced under the account's row lock.
	// Source: rule H6.
	ImagesPerAdvisorDay = 1_000
	// ImageDay is the time that ImagesPerAdvisorDay is of.
	ImageDay = 24 * time.Hour
	// ImageKept is for how long an image that nothing uses is kept after it was uploaded or last used; and for how long an upload may take before what
	// it left is deleted.
	ImageKept = 24 * time.Hour
	// ImageFileRetry is when a file is tried again that object storage did not delete.
	ImageFileRetry = 10 * time.Minute
	// ImageURLLife is how long the address of an image is good. Source: rule H6.
	ImageURLLife = 15 * time.Minute
	// URLSecretBytes is how many random bytes the secret is of that an account's addresses are signed with. Source: rule A4.
	URLSecretBytes = 32
	// UploadBytes is the largest body of multipart/form-data, in bytes: it is held in memory. Source: ADR 0042.
	UploadBytes = 24 << 20
	// UploadTime is how long a client may take to send such a body, and to take an image.
	UploadTime = time.Minute
	// UploadSecondBytes is how many bytes a second such a body must come with, on average since it is read, and UploadGrace how much later than that it
	// may be: one that is slower is cut. Source: ADR 0042.
	UploadSecondBytes = 8 << 10
	UploadGrace       = 5 * time.Second
	// UploadsAtOnce is how many such bodies a node holds at the same time, UploadsPerAccount how many of one account, UploadsPerToken how many of one
	// token. Source: ADR 0042.
	UploadsAtOnce     = 8
	UploadsPerAccount = 3
	UploadsPerToken   = 2
	// UploadsWaiting is how many requests may wait for each of these places, as long as an operation may take; who comes then is refused at once. UploadRetry is
	// when who found no place is told to come again. Source: ADR 0042.
	UploadsWaiting = 2
	UploadRetry    = 5 * time.Second
	// UploadOperations is the most operations of one multipart request, each of which is charged and limited as if it came alone; they have the time of
	// one together. Source: ADR 0042.
	UploadOperations = 10
	// UploadCharge is what each file in the arguments of an operation is charged with, besides the operation itself. Source: rule X2.
	UploadCharge = 5
)

// Customers and bindings.
const (
	// CustomersPerAdvisor is the most customers bound to one advisor at a time. Enforced by
	// the CHECK constraint on advisor.customer_count, under the advisor's row lock.
	// Source: rule E1.
	CustomersPerAdvisor = 15_000
	// DedupKeyBytes is the longest key that tells a repeated callback, in bytes. Column
	// inbound.dedup_key.
	DedupKeyBytes = 191
	// EventNameBytes is the longest name of a channel's event that is kept, in bytes. Column
	// inbound.name.
	EventNameBytes = 64
	// OpenIDBytes is the longest openid or unionid, in bytes. Columns VARBINARY(64).
	OpenIDBytes = 64
	// SceneBytes is the longest scene key of a QR code, in bytes: what WeChat's
	// QR_LIMIT_STR_SCENE carries. Column qr_code.scene. Source: rule C3.
	SceneBytes = 64
	// CodeBatch is the most codes that one createQRCodes call makes.
	CodeBatch = 200
	// CodeLabelRunes is the longest label of a code, in runes, at least 1. Source: rule C3.
	CodeLabelRunes = 64
	// LabelledCodes is the most permanent codes with a label that an account ever makes: the platform
	// has 100,000 permanent ones an account, takes none back, and AdvisorsPerAccount and GroupsPerAccount
	// are to get theirs. Enforced in the transaction under the account's row lock. Source: rule C3.
	LabelledCodes = 99_000
	// CodeLifeMin is the shortest life of a temporary code.
	CodeLifeMin = time.Minute
	// CodeLifeMax is the longest life of a temporary code. Source: rule C3.
	CodeLifeMax = 30 * 24 * time.Hour
	// CodeURLBytes is the longest text of a code that a platform answers, in bytes.
	CodeURLBytes = 512
	// CodesTold is the most codes of which a platform is told before what it answered is recorded, CodesAtOnce how many
	// of them at the same time. Source: rule C1.
	CodesTold, CodesAtOnce = 64, 8
	// CodeRetry is when a platform is told again of a code that it refused.
	CodeRetry = 24 * time.Hour
	// CodeKept is how long a temporary code is kept after it expired, so that a late scan of it still
	// tells its label.
	CodeKept = 30 * 24 * time.Hour
	// CodePictureMin and CodePictureMax are the smallest and the largest width of the picture of a code, in
	// pixels: room for 4 pixels a module, and what prints 10 cm at 300 dots an inch. Source: rule C4.
	CodePictureMin = 200
	CodePictureMax = 1_280
	// CodePicture is its width when none is given, the platform's own.
	CodePicture = 430
	// CodeAvatarBytes is the largest picture that is put into the middle of a code, in bytes, before base64.
	// Source: rule C4.
	CodeAvatarBytes = 256 << 10
	// CodeAvatarPixels is the most pixels of it: what is packed well is not unpacked into much more.
	CodeAvatarPixels = 1 << 20
	// CodeAvatarSide is the width and height in pixels to which an advisor's image is scaled when it goes into codes, CodeAvatarsKept of how many a
	// node keeps what came of it: 360 KB each.
	CodeAvatarSide  = 300
	CodeAvatarsKept = 64
	// CodePicturesAtOnce is how many pictures of codes a node draws at the same time; each may take 20 MB.
	CodePicturesAtOnce = 2
	// CustomerNicknameRunes is the longest nickname of a customer, in runes. Source: rule E8.
	CustomerNicknameRunes = 64
	// NewCustomers is how many customers the list of the newest holds. Source: rule E10.
	NewCustomers = 200
	// BindBatch is the most customers that one call assigns, rebinds or unbinds, and one
	// transaction of a job that does. Source: rule E5.
	BindBatch = 500
)

// Tags and what is noted of customers.
const (
	// TagsPerAccount is the most tags of one account. Enforced in the transaction under the
	// account's row lock. Source: rule F1.
	TagsPerAccount = 4
	// OptionsPerTag is the most options of one tag. Enforced in the transaction under the account's
	// row lock. Source: rule F1.
	OptionsPerTag = 50
	// TagNameRunes is the longest name of a tag or an option, in runes, at least 1. Source: rule F1.
	TagNameRunes = 32
	// EditBatch is the most customers whose tags or fields one call changes. Source: rule F2.
	EditBatch = 500
	// TagChanges is the most options that one call names, those of all its customers added up: ten for
	// each of EditBatch. Source: rule F2.
	TagChanges = 5_000
	// FilterTags is the most options that each list of a tag filter names. Source: rule E9.
	FilterTags = 50
	// FilterIdents is the most openids, and the most unionids, that a filter of customers names. Source: rule E9.
	FilterIdents = 500
	// CustomerCount is where the count of a list of customers stops. Source: rule E9.
	CustomerCount = 10_000
	// PageScan is how many customers of an account one page looks at for those that its filter selects;
	// a page that finds too few is short. An advisor's customers are fewer. Source: rule E9.
	PageScan = 20_000
	// InfoLines is the most lines of a customer's info. Source: rule E8.
	InfoLines = 20
	// InfoLineRunes is the longest of them, in runes, at least 1. Source: rule E8.
	InfoLineRunes = 100
	// RegionRunes is the longest name of a country, province or city, in runes. Source: rule E8.
	RegionRunes = 64
	// TagSweepRows is the most rows from which one statement takes a removed option. Source: rule F1.
	TagSweepRows = 1_000
	// TagSweepLease is how long a node that takes removed options off customers keeps others from it.
	TagSweepLease = 30 * time.Second
)

// Conversations and messages.
const (
	// TextBytes is the longest text message, in bytes of UTF-8. Source: rule G1.
	TextBytes = 2_048
	// InboundTextBytes is the longest text kept of what a customer wrote, in bytes of UTF-8;
	// what is longer is cut at a rune border and marked. Column message.text.
	InboundTextBytes = 16_384
	// MediaRefBytes is the longest reference to a channel's media (id or URL), in bytes.
	MediaRefBytes = 1_024
	// FollowReplyRunes is the longest follow reply of an account, in runes, at least 1; in bytes it is shorter
	// than TextBytes. Source: rule H4.
	FollowReplyRunes = 300
	// IdempotencyKeyBytes is the longest idempotency key, in bytes, at least 1. Source: rule E15.
	IdempotencyKeyBytes = 64
	// IdempotencyLife is how long a key keeps its first result. Source: rule E15.
	IdempotencyLife = 7 * 24 * time.Hour
	// ReplyWindow is how long a customer's action keeps replies free under the CLASSIC preset.
	// Source: rule G2.
	ReplyWindow = 48 * time.Hour
	// ReplyMessages is how many free replies an action opens under the CLASSIC preset. Source: rule G2.
	ReplyMessages = 20
	// PlatformReplyMessages is how many free replies a message opens under PLATFORM_TODAY. Source: rule A3.
	PlatformReplyMessages = 5
	// PlatformShortWindow is the window of a menu click, follow or scan under PLATFORM_TODAY. Source: rule A3.
	PlatformShortWindow = time.Minute
	// PlatformShortMessages is the number of replies of that window. Source: rule A3.
	PlatformShortMessages = 3
	// OutreachPerMonth is how many outreaches a customer receives in a calendar month of the
	// account's zone. Source: rule G3.
	OutreachPerMonth = 4
	// OutreachSession is how long a confirmed outreach stays open. Source: rule G3.
	OutreachSession = time.Minute
	// OutreachMessages is how many messages one outreach carries. Source: rule G3.
	OutreachMessages = 3
	// PolicyMessages is the most messages that an override may let one action open. Source: rule A3.
	PolicyMessages = 1_000
	// PolicyWindow is the longest time for which an override may let one action open replies.
	// Source: rule A3.
	PolicyWindow = 30 * 24 * time.Hour
	// PolicyOutreachPerMonth is the most outreaches a month that an override may allow. Source: rule A3.
	PolicyOutreachPerMonth = 100
	// PolicyOutreachSession is the longest session that an override may give an outreach, at
	// least a second. Source: rule A3.
	PolicyOutreachSession = 24 * time.Hour
	// PolicyOutreachMessages is the most messages that an override may let one outreach carry, at
	// least 1. Source: rule A3.
	PolicyOutreachMessages = 100
	// PaymentBatch is the most payments of one recordPayment call. Source: rule G2.
	PaymentBatch = 200
	// TransactionIDBytes is the longest transaction id of a payment, in bytes, at least 1. With
	// its prefix it is a key of column inbound.dedup_key. Source: rule G2.
	TransactionIDBytes = 64
	// PaymentAge is how long after it was made a payment can be reported. No window is longer
	// (PolicyWindow), and whoever deletes records of payments must keep them longer than this, so
	// that none can count twice. Source: rule G2.
	PaymentAge = 30 * 24 * time.Hour
	// MassSendOpenIDs is the most openids of one recordMassSend call. Source: rule G3.
	MassSendOpenIDs = 10_000
	// MassSendChunk is how many of them one transaction counts, so that it holds few row locks.
	MassSendChunk = 500
	// MassSendLook is how far back mass sends to all followers are read to see which of them
	// count in the present month: longer than any month.
	MassSendLook = 40 * 24 * time.Hour
	// MessageReadable is for how long the API shows a message, where the account does not say.
	// Source: rule G11.
	MessageReadable = 30 * 24 * time.Hour
	// MessageReadableLeast is the shortest that an account may say; the most is what it keeps messages for.
	MessageReadableLeast = 24 * time.Hour
	// MessageRetention is how long a message is kept, where the account does not say. Source: rule G11.
	MessageRetention = 180 * 24 * time.Hour
	// MessageRetentionLeast is the shortest that an account may say: longer than IdempotencyLife and
	// InboundLife, so that who repeats a send or a callback finds its message.
	MessageRetentionLeast = 8 * 24 * time.Hour
	// MessageRetentionMost is the longest that an account may say: ten years.
	MessageRetentionMost = 3_650 * 24 * time.Hour
	// MessagesPage is the most messages of one page. Source: rules G11, X2.
	MessagesPage = 1_000
	// InteractedWithin is what the inbox calls a recent interaction. Source: rule G9.
	InteractedWithin = 48 * time.Hour
	// TicketLife is how long a ticket for an event stream is good, TicketBytes how many random bytes it is of. Source: rule V1.
	TicketLife  = 30 * time.Second
	TicketBytes = 32
	// Advisorships is the most accounts that a person is told they are an advisor of. Source: rule V1.
	Advisorships = 100
	// TokenLife is the longest life of a token made by issueAdvisorToken. Source: rule V1.
	TokenLife = 24 * time.Hour
)

// The API. Each is the default of a setting. Source: rule X2.
const (
	PageDefault            = 50               // PageDefault is the number of items of a page when `first` is absent.
	PageMax                = 200              // PageMax is the most items of a page.
	QueryDepth             = 12               // QueryDepth is the deepest selection, counted through fragments.
	QueryTokens            = 2_000            // QueryTokens is the most lexical tokens of a document.
	QueryAliases           = 30               // QueryAliases is the most aliases of a document, fragments counted where they are spread.
	BodyBytes              = 1 << 20          // BodyBytes is the largest request body and WebSocket message, in bytes.
	OperationTime          = 10 * time.Second // OperationTime is how long one query or mutation may take.
	SubscriptionsPerSocket = 50               // SubscriptionsPerSocket is the most subscriptions of one WebSocket.
	QueryFields            = 300              // QueryFields is the most selections in one selection set; checking them grows with their square.
	QueryComparisons       = 30_000           // QueryComparisons is the most steps in which validation compares the fields of a document with those that are answered under the same name.
	QueryValues            = 50_000           // QueryValues is the most values in the arguments of an operation, variables put in wherever they are used.
	QueryRootFields        = 30               // QueryRootFields is the most fields of an operation's root, fragments counted where they are spread.
	QueryDirectives        = 50               // QueryDirectives is the most directives of a document's operations and fragments.
	ErrorsShown            = 20               // ErrorsShown is the most errors of an answer; one more says how many there are.
	QueryRows              = 20_000           // QueryRows is the most rows one operation may ask for, pages inside pages multiplied.
	RatePerToken           = 1_000            // RatePerToken is what a node gives one token a second, in charges: an operation is one, and one more for each RowsPerCharge rows.
	RatePerAccount         = 5_000            // RatePerAccount is what it gives all tokens of an account together.
	RowsPerCharge          = 100              // RowsPerCharge is how many rows cost as much as an operation.
	RateBurst              = 10 * time.Second // RateBurst is for how long what nobody asked for is saved up.
	NodesPerCall           = 100              // NodesPerCall is the most ids of one nodes() call.
)

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

// Revocation. Source: rule V1.
const (
	// RevocationsPerAccount is the most revocations in force in one account. Enforced in the
	// transaction under the account's row lock.
	RevocationsPerAccount = 10_000
	// RevocationLife is how long a revocation is in force when nobody said until when the token
	// lives: longer than any token should.
	RevocationLife = 400 * 24 * time.Hour
)

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
	// StatementBytes is at how many bytes of texts no more rows join a statement; servers take 16 MiB.
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

// Callbacks of the wechat channel. Source: rule K1.
const (
	// CallbackBodyBytes is the largest callback body, in bytes; WeChat's are below 20 KiB.
	CallbackBodyBytes = 64 << 10
	// CallbackTime is how long a callback may take before it is answered 503, so that the
	// platform, which waits 5 s, sends it again.
	CallbackTime = 4500 * time.Millisecond
	// AppSecretMin and AppSecretMax are how many characters an app secret has. Source: rule A4.
	AppSecretMin, AppSecretMax = 16, 64
	// AccessTokenEarly is how long before its end an access token is renewed: the platform then takes the
	// old one and the new one. Source: WeChat official account documentation: stable access token.
	AccessTokenEarly = 5 * time.Minute
	// AccessTokenLook is how often it is looked whether another node has the token it asks for.
	AccessTokenLook = 100 * time.Millisecond
	// AccessTokenAgain is when a token that is still good is tried to be renewed again.
	AccessTokenAgain = 30 * time.Second
	// ChannelRecordTime is how long a call of a platform may take, beside ChannelTime, to record a token or a fault.
	ChannelRecordTime = 2 * time.Second
	// AccessTokenBytes is the longest access token that can be kept.
	AccessTokenBytes = 1_024
	// ChannelBodyBytes is the largest answer of a platform that is read, in bytes: 10,000 openids take half of it.
	ChannelBodyBytes = 1 << 20
	// ChannelRefused is how long a part of a platform is not asked that refuses the account as a whole.
	ChannelRefused = time.Minute
	// ChannelFaultGap is how soon after another the same refusal counts as the same fault.
	ChannelFaultGap = time.Hour
	// ChannelWorkers is of how many accounts a node asks the platforms at the same time, beside jobs and messages.
	ChannelWorkers = 8
	// ChannelWorkPoll is how often it is looked for what is to be asked that nobody woke the node for.
	ChannelWorkPoll = 5 * time.Second
	// ChannelWorkLease is for how long a node has what is to be asked of one part of an account's platform: longer than CodesTold calls
	// and their recording.
	ChannelWorkLease = 3 * time.Minute
	// ChannelWorkTurn is how often in a row one account's platform is asked while others wait.
	ChannelWorkTurn = 16
	// ChannelWorkIdle is when a node looks again at what it cannot ask, and another can.
	ChannelWorkIdle = time.Hour
	// ServiceAgentsAge is how old what is known of an account's customer-service agents may be. Source: rule B2.
	ServiceAgentsAge = time.Minute
	// CallbackRotation is how long replaced callback credentials are still accepted. Source: rule A4.
	CallbackRotation = 7 * 24 * time.Hour
	// CallbackSkew is how far a callback's timestamp may be from our clock.
	CallbackSkew = time.Hour
)

// Webhooks.
const (
	// WebhooksPerAccount is the most webhooks of one account. Enforced in the transaction under the account's row
	// lock. Source: rule N7.
	WebhooksPerAccount = 10
	// WebhookNameRunes is the longest name of a webhook, in runes, at least 1.
	WebhookNameRunes = 64
	// WebhookURLBytes is the longest address of a webhook, in bytes. Enforced by models.CheckWebhookURL.
	WebhookURLBytes = 1_024
	// WebhookSecretBytes is how many random bytes a webhook's secret is. Source: Standard Webhooks 1.0.
	WebhookSecretBytes = 32
	// WebhookSecretOverlap is how long a replaced secret signs beside the new one. Source: rule A4.
	WebhookSecretOverlap = 7 * 24 * time.Hour
	// WebhookConnectTime is how long a connection to a receiver may take, TLS included.
	WebhookConnectTime = 5 * time.Second
	// WebhookTime is how long one call of a receiver may take in all.
	WebhookTime = 10 * time.Second
	// WebhookAnswerBytes is how much of a receiver's answer is read, to be dropped, in bytes: so much, and the connection serves again.
	WebhookAnswerBytes = 16 << 10
	// WebhookBackoff is the pause after a receiver's first failure; it doubles up to WebhookBackoffMax. The latter is also the longest
	// Retry-After that is honoured. Source: rule N6.
	WebhookBackoff    = 5 * time.Second
	WebhookBackoffMax = time.Hour
	// WebhookPatience is how long after its first attempt an event is tried again. Source: rule N6.
	WebhookPatience = 24 * time.Hour
	// WebhookAttempts is how often it is tried at least, whatever time passed: servers may have stood still. Of one that is tried all day
	// there are more. Source: rule N6.
	WebhookAttempts = 20
	// WebhookReplayPause is for how long nothing is replayed to a receiver that could not be reached, or asked to wait, by a replay.
	WebhookReplayPause = time.Minute
	// WebhookErrorPause is for how long a webhook rests at which this side failed.
	WebhookErrorPause = 5 * time.Second
	// WebhookWorkers is how many webhooks a node calls at the same time, beside jobs and messages.
	WebhookWorkers = 32
	// WebhookWorkersPerAccount is how many of them one account may have.
	WebhookWorkersPerAccount = 4
	// WebhookTryShare is the part, one in so many, of the workers that may be at receivers which failed last, were slow, or have not
	// answered yet.
	WebhookTryShare = 4
	// WebhookSlow is how long an answer takes by which a receiver counts as slow, and has no second call in the turn of a quick one.
	WebhookSlow = 2 * time.Second
	// WebhookPoll is how often due webhooks are looked for that nobody woke the node for.
	WebhookPoll = time.Second
	// WebhookLease is for how long a node has a webhook: after half of it no call is begun, which leaves a call, its
	// recording and ClockSkew.
	WebhookLease = time.Minute
	// WebhookLook is how many events are read at once for a webhook, wanted or not.
	WebhookLook = 200
	// WebhookBatch is the most events that are sent before it is recorded how far the webhook has come; so many may come
	// again after a kill.
	WebhookBatch = 20
	// WebhookBatchTime is how long events are sent before that is recorded.
	WebhookBatchTime = 5 * time.Second
	// WebhookTurn is how many events a webhook is sent while others wait, WebhookTurnTime how long.
	WebhookTurn     = 100
	WebhookTurnTime = 15 * time.Second
	// WebhookTestPause is how long after a test another may be asked for.
	WebhookTestPause = 10 * time.Second
	// DeadLetters is the most that are kept of a webhook; the oldest goes for one more. Enforced in the transaction
	// under the webhook's row lock. Source: rule N6.
	DeadLetters = 1_000
	// DeadLetterLife is how long a dead letter is kept.
	DeadLetterLife = 30 * 24 * time.Hour
	// DeadLettersReplayed is the most that one call names to be replayed.
	DeadLettersReplayed = 200
)
