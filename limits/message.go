package limits

import "time"

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
