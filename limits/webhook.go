package limits

import "time"

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
