package models

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"clientele/internal/relay"
	"clientele/limits"
)

// WebhookState is whether a webhook is sent events.
type WebhookState string

// The states.
const (
	WebhookActive WebhookState = "ACTIVE"
	WebhookPaused WebhookState = "PAUSED" // the merchant paused it; its place in the stream stays
	WebhookGone   WebhookState = "GONE"   // the receiver answered 410; as PAUSED
)

// WebhookFailure is why a receiver did not take what it was sent.
type WebhookFailure string

// The failures.
const (
	WebhookStatus      WebhookFailure = "STATUS"      // it answered another status than 200 to 299
	WebhookTimeout     WebhookFailure = "TIMEOUT"     // it did not answer in time
	WebhookConnection  WebhookFailure = "CONNECTION"  // it could not be connected to, or hung up
	WebhookCertificate WebhookFailure = "CERTIFICATE" // its certificate is not good
	WebhookAddress     WebhookFailure = "ADDRESS"     // its name leads to an address that is not called, or to none
)

// Webhook is an address of the merchant's that is sent the events of the account, in order (rules N6, N7). The row is the queue:
// who has leased it sends, and nobody else.
type Webhook struct {
	AccountID Key          `gorm:"column:account_id;primaryKey"`
	Key       Key          `gorm:"column:id;primaryKey"`
	Name      string       `gorm:"column:name"`
	URL       string       `gorm:"column:url"`
	Kinds     WebhookKinds `gorm:"column:kinds"` // which it gets; none: all
	// KindsAfter is behind which numbers of the stream it asks for them, see Ask.
	KindsAfter WebhookKindsAfter `gorm:"column:kinds_after"`
	State      WebhookState      `gorm:"column:state"`
	// SealedSecret signs; SealedOld does too until limits.WebhookSecretOverlap after RotatedAt (rule A4). Never leave the server.
	SealedSecret []byte `gorm:"column:sealed_secret"`
	SealedOld    []byte `gorm:"column:sealed_old"`
	// RotatedAt is 0 unless there is a SealedOld.
	RotatedAt Time `gorm:"column:rotated_at"`
	// Revision grows with each change of URL, State and secrets: what was sent before one says nothing of what is so behind it.
	Revision int64 `gorm:"column:revision"`

	// Position is the number of the last event of the account's stream that was dealt with, in Epoch of the log. While the webhook is idle
	// it stays behind: of the events that follow it, none is of a kind that is asked for.
	Position int64  `gorm:"column:position"`
	Epoch    []byte `gorm:"column:epoch"`
	// DueAt is from when on a node takes it; while one has it, when its lease ends; WebhookNever: there is nothing to do until something happens.
	DueAt    Time `gorm:"column:due_at"`
	LeasedBy Key  `gorm:"column:leased_by"` // a turn at it; zero: nobody has it
	// RetryAt is before when no event is sent, since the receiver failed; Failures counts its failures in a row.
	RetryAt  Time `gorm:"column:retry_at"`
	Failures int  `gorm:"column:failures"`
	// TriedAt is when what is next was tried first, Attempts how often; 0: it was not.
	TriedAt  Time `gorm:"column:tried_at"`
	Attempts int  `gorm:"column:attempts"`
	// Notice is what the receiver is told next, before any event; empty: nothing. NoticeID is the dead letter that tells it too.
	Notice     DeadLetterCause `gorm:"column:notice"`
	NoticeID   Key             `gorm:"column:notice_id"`
	NoticeFrom int64           `gorm:"column:notice_from"`
	NoticeTo   int64           `gorm:"column:notice_to"`
	NoticeAt   Time            `gorm:"column:notice_at"`
	// Replaying says that dead letters may wait to be replayed, ReplaysAt before when none is.
	Replaying bool `gorm:"column:replaying"`
	ReplaysAt Time `gorm:"column:replays_at"`

	// TestID names a test that waits; zero: none does.
	TestID      Key            `gorm:"column:test_id"`
	TestAt      Time           `gorm:"column:test_at"`   // when the last one was asked for
	TestedAt    Time           `gorm:"column:tested_at"` // when it was answered, or not
	TestFailure WebhookFailure `gorm:"column:test_failure"`
	TestStatus  int            `gorm:"column:test_status"`

	SucceededAt Time `gorm:"column:succeeded_at"`
	// Trying says that its receiver failed last, was slow, or has not answered yet: it has its turn among those.
	Trying       bool           `gorm:"column:trying"`
	FailingSince Time           `gorm:"column:failing_since"`
	FailedAt     Time           `gorm:"column:failed_at"`
	Failure      WebhookFailure `gorm:"column:failure"`
	FailedStatus int            `gorm:"column:failed_status"`

	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time `gorm:"column:updated_at;autoUpdateTime:false"`

	// DeadLetters is how many there are, where it was counted.
	DeadLetters int `gorm:"-"`
}

// TableName names the table for the mapper.
func (Webhook) TableName() string { return "webhook" }

// ID is the webhook's global id.
func (w *Webhook) ID() relay.ID { return relay.ID{Kind: KindWebhook, Key: w.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Webhook) IsNode() {}

// Wants reports whether it is sent an event of a kind with a number of the stream: it asked for the kind before the event had the number (rule N7).
func (w *Webhook) Wants(kind EventKind, seq int64) bool {
	return w.asks(AccountEventKind(kind)) && seq > w.KindsAfter.of(AccountEventKind(kind))
}

func (w *Webhook) asks(kind AccountEventKind) bool {
	return len(w.Kinds) == 0 || slices.Contains(w.Kinds, kind)
}

// Ask has it be sent events of these kinds, none: of all, in order of their names: of those that it asks for already what waits too, of the others what follows a number
// of the stream, which is its head, read under the lock of the webhook's row.
func (w *Webhook) Ask(kinds WebhookKinds, head int64) {
	after := WebhookKindsAfter{}
	keep := func(kind AccountEventKind) {
		if after[kind] = head; w.asks(kind) {
			after[kind] = w.KindsAfter.of(kind)
		}
	}
	switch {
	case len(kinds) > 0:
		for _, k := range kinds {
			keep(k)
		}
		maps.DeleteFunc(after, func(_ AccountEventKind, n int64) bool { return n <= w.Position })
	case len(w.Kinds) == 0:
		return
	default:
		for _, k := range w.Kinds {
			keep(k)
		}
		if after[otherKinds] = head; head <= w.Position {
			clear(after)
		}
	}
	if w.Kinds, w.KindsAfter = kinds, after; len(after) == 0 {
		w.KindsAfter = nil
	}
}

// WebhookNever is the DueAt of a webhook for which there is nothing to do.
const WebhookNever Time = math.MaxInt64

// IsIdle reports whether it waits for the next event of a kind that it asks for, and for nothing else.
func (w *Webhook) IsIdle() bool {
	return w.State == WebhookActive && w.LeasedBy.IsZero() && w.DueAt == WebhookNever
}

// CatchUp has an idle one stand at the head of the stream, in this epoch of the log: nothing that it asks for lies between. Its row was locked
// before the head was read, or read after it.
func (w *Webhook) CatchUp(epoch []byte, head int64) {
	if w.IsIdle() && bytes.Equal(w.Epoch, epoch) {
		w.Position = max(w.Position, head)
	}
}

// Meets tells it of the events that follow a number of the stream, and reports whether it has to be due for one of them, since it was idle,
// and stands right before them then, or waited for no more than a replay.
func (w *Webhook) Meets(after int64, events []*AccountEvent, now Time) bool {
	idle, due := w.IsIdle(), max(now, w.RetryAt)
	replays := w.State == WebhookActive && w.LeasedBy.IsZero() && w.Replaying && w.DueAt == w.ReplaysAt && w.DueAt > due
	if !(idle || replays) || !slices.ContainsFunc(events, func(e *AccountEvent) bool { return w.asks(e.Kind) }) {
		return false // they follow whatever it asked for
	}
	if w.DueAt = due; idle {
		w.Position = after
	}
	return true
}

// Next is from when on there is something to do for it, with the log and the account's stream as they are; WebhookNever.
func (w *Webhook) Next(epoch []byte, head int64, now Time) Time {
	switch {
	case !w.TestID.IsZero():
		return now
	case w.State != WebhookActive:
		return WebhookNever
	case w.Notice != "" || w.Position != head || !bytes.Equal(w.Epoch, epoch):
		return max(now, w.RetryAt)
	case w.Replaying:
		return max(now, w.RetryAt, w.ReplaysAt)
	}
	return WebhookNever
}

// Wake has it be looked at now. Who has it looks for more before giving it back.
func (w *Webhook) Wake(now Time) {
	if w.LeasedBy.IsZero() || w.DueAt <= now {
		w.DueAt, w.LeasedBy = now, Key{}
	}
}

// Forgive has the receiver be tried now, whatever it did before: somebody changed something. What is next has all its time again.
func (w *Webhook) Forgive(now Time) {
	w.RetryAt, w.Failures, w.ReplaysAt = 0, 0, 0
	w.Dealt()
	w.Wake(now)
}

// Succeeded says that the receiver took something, slowly or not.
func (w *Webhook) Succeeded(now Time, slowly bool) {
	w.SucceededAt, w.RetryAt, w.Failures, w.FailingSince, w.Trying = now, 0, 0, 0, slowly
}

// Dealt says that what was next is done with.
func (w *Webhook) Dealt() { w.TriedAt, w.Attempts = 0, 0 }

// Failed says that the receiver did not take what it was sent, and that nothing is sent before an instant. 410 ends sending.
func (w *Webhook) Failed(now Time, f WebhookFailure, status int, until Time) {
	w.FailedAt, w.Failure, w.FailedStatus, w.RetryAt, w.Trying = now, f, status, until, true
	w.Failures++
	if w.FailingSince.IsZero() {
		w.FailingSince = now
	}
	w.Went(f, status)
}

// Went ends sending when the receiver answered 410.
func (w *Webhook) Went(f WebhookFailure, status int) {
	const gone = 410
	if f == WebhookStatus && status == gone {
		w.State = WebhookGone
	}
}

// Tried counts an attempt at what is next, begun at an instant that failed at now, and reports whether it was the last (rule N6): time
// alone ends nothing, since the servers may have stood still for it.
func (w *Webhook) Tried(began, now Time) (last bool) {
	if w.Attempts++; w.TriedAt.IsZero() {
		w.TriedAt = began
	}
	return now.Sub(w.TriedAt) >= limits.WebhookPatience && w.Attempts >= limits.WebhookAttempts
}

// OldSecretUntil is until when the replaced secret signs too; 0: there is none.
func (w *Webhook) OldSecretUntil() Time {
	if len(w.SealedOld) == 0 {
		return 0
	}
	return w.RotatedAt.Add(limits.WebhookSecretOverlap)
}

// DropOld drops the replaced secret once its time is over, and reports whether it did.
func (w *Webhook) DropOld(now Time) bool {
	if len(w.SealedOld) == 0 || w.SignsWithOld(now) {
		return false
	}
	w.SealedOld, w.RotatedAt = nil, 0
	return true
}

// SignsWithOld reports whether the replaced secret signs too.
func (w *Webhook) SignsWithOld(now Time) bool { return now < w.OldSecretUntil() }

// WebhookBackoff is the most of the pause after so many failures in a row; at least half of it passes.
func WebhookBackoff(failures int) time.Duration {
	whole := limits.WebhookBackoff
	for range failures - 1 {
		if whole *= 2; whole >= limits.WebhookBackoffMax {
			return limits.WebhookBackoffMax
		}
	}
	return whole
}

// RetryAfter is how long an answer's header of that name asks to wait, in seconds or as a date; 0 for what says nothing, at most
// limits.WebhookBackoffMax.
func RetryAfter(header string, now Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(header); err == nil {
		d = time.Duration(min(max(n, 0), int(limits.WebhookBackoffMax/time.Second))) * time.Second
	} else if at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", header); err == nil {
		d = At(at).Sub(now)
	}
	return min(max(d, 0), limits.WebhookBackoffMax)
}

// WebhookFault is the last failure of a receiver.
type WebhookFault struct {
	Failure WebhookFailure
	// Status is what was answered; nil: nothing was.
	Status *int
	At     Time
}

// LastFailure is the last failure; nil: there was none.
func (w *Webhook) LastFailure() *WebhookFault { return fault(w.Failure, w.FailedStatus, w.FailedAt) }

func fault(f WebhookFailure, status int, at Time) *WebhookFault {
	if f == "" {
		return nil
	}
	of := &WebhookFault{Failure: f, At: at}
	if status != 0 {
		of.Status = &status
	}
	return of
}

// WebhookTest is the last test of a webhook.
type WebhookTest struct {
	RequestedAt, FinishedAt Time
	Fault                   *WebhookFault
}

// Test is the last test that was asked for; nil: none was.
func (w *Webhook) Test() *WebhookTest {
	if w.TestAt.IsZero() {
		return nil
	}
	return &WebhookTest{RequestedAt: w.TestAt, FinishedAt: w.TestedAt, Fault: fault(w.TestFailure, w.TestStatus, w.TestedAt)}
}

// Label is the name; nil: it has none.
func (w *Webhook) Label() *string { return optional(w.Name) }

// EventKinds is which it gets; never nil.
func (w *Webhook) EventKinds() []AccountEventKind { return append([]AccountEventKind{}, w.Kinds...) }

// NextAttemptAt is before when nothing is sent; 0: what there is is sent now, or it is not sent anything.
func (w *Webhook) NextAttemptAt() Time {
	if w.State != WebhookActive {
		return 0
	}
	return w.RetryAt
}

// WebhookKinds is kinds of events, kept as their names with commas between.
type WebhookKinds []AccountEventKind

// Value implements driver.Valuer.
func (k WebhookKinds) Value() (driver.Value, error) {
	names := make([]string, len(k))
	for i, kind := range k {
		names[i] = string(kind)
	}
	return strings.Join(names, ","), nil
}

// Scan implements sql.Scanner.
func (k *WebhookKinds) Scan(src any) error {
	text, err := scannedText(src, "kinds of events")
	if err != nil {
		return err
	}
	*k = nil
	for name := range strings.SplitSeq(text, ",") {
		if name != "" {
			*k = append(*k, AccountEventKind(name))
		}
	}
	return nil
}

// WebhookKindsAfter is behind which number of the stream each kind is asked for; one that is not in it as otherKinds is, or, where that is not either, from wherever
// the webhook is. It is kept as JSON, empty as no text.
type WebhookKindsAfter map[AccountEventKind]int64

// otherKinds stands in WebhookKindsAfter for all that are not in it.
const otherKinds = ""

func (a WebhookKindsAfter) of(kind AccountEventKind) int64 {
	if n, ok := a[kind]; ok {
		return n
	}
	return a[otherKinds]
}

// Value implements driver.Valuer.
func (a WebhookKindsAfter) Value() (driver.Value, error) {
	if len(a) == 0 {
		return "", nil
	}
	text, err := json.Marshal(a)
	return string(text), err
}

// Scan implements sql.Scanner.
func (a *WebhookKindsAfter) Scan(src any) error {
	text, err := scannedText(src, "numbers of kinds")
	if *a = nil; err != nil || text == "" {
		return err
	}
	return json.Unmarshal([]byte(text), a)
}

// DeadLetterCause is why there is a dead letter.
type DeadLetterCause string

// The causes.
const (
	DeadLetterFailed   DeadLetterCause = "FAILED"       // the receiver did not take the event
	DeadLetterNotKept  DeadLetterCause = "NOT_KEPT"     // events were deleted before the receiver came to them (rule N4)
	DeadLetterRestored DeadLetterCause = "LOG_RESTORED" // a backup was restored: what the receiver was sent last may not be so
)

// DeadLetter is an event that a receiver did not take, or what it has to be told of events it was not sent (rule N6).
type DeadLetter struct {
	AccountID Key             `gorm:"column:account_id;primaryKey"`
	WebhookID Key             `gorm:"column:webhook_id;primaryKey"`
	Key       Key             `gorm:"column:id;primaryKey"`
	Cause     DeadLetterCause `gorm:"column:cause"`
	Kind      EventKind       `gorm:"column:kind"` // empty unless FAILED
	Epoch     []byte          `gorm:"column:epoch"`
	FirstSeq  int64           `gorm:"column:first_seq"`
	LastSeq   int64           `gorm:"column:last_seq"`
	At        Time            `gorm:"column:at"` // of the event
	Customer  Key             `gorm:"column:customer_id"`
	Subject   Key             `gorm:"column:subject_id"`

	TriedAt      Time           `gorm:"column:tried_at"` // first
	Attempts     int            `gorm:"column:attempts"`
	Failure      WebhookFailure `gorm:"column:failure"`
	FailedStatus int            `gorm:"column:failed_status"`
	FailedAt     Time           `gorm:"column:failed_at"`
	// ReplayAt is when somebody asked for it to be sent again; 0: it rests.
	ReplayAt  Time `gorm:"column:replay_at"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (DeadLetter) TableName() string { return "dead_letter" }

// ID is the dead letter's global id.
func (d *DeadLetter) ID() relay.ID { return relay.ID{Kind: KindDeadLetter, Key: d.Key} }

// EventKind is the kind of the event; nil: it is no event.
func (d *DeadLetter) EventKind() *AccountEventKind {
	if d.Kind == "" {
		return nil
	}
	kind := AccountEventKind(d.Kind)
	return &kind
}

// LastFailure is the last failure; nil: it is no event.
func (d *DeadLetter) LastFailure() *WebhookFault { return fault(d.Failure, d.FailedStatus, d.FailedAt) }

// IsReplaying reports whether it waits to be sent again.
func (d *DeadLetter) IsReplaying() bool { return d.ReplayAt > 0 }

// Event is the event as the log had it.
func (d *DeadLetter) Event() *Event {
	return &Event{Account: d.AccountID, Stream: d.AccountID, Seq: d.LastSeq, Kind: d.Kind, At: d.At, Customer: d.Customer, Subject: d.Subject}
}

// CheckWebhookURL checks the address of a webhook: https, a host that is no local one, no user, no fragment, at most
// limits.WebhookURLBytes. With private, http and any host are allowed. It resolves no name: that is done whenever it is called.
func CheckWebhookURL(text, field string, private bool) error {
	if err := CheckIdent(text, field, limits.WebhookURLBytes); err != nil {
		return err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return Invalid(field, "is no address such as https://crm.example.com/clientele")
	case u.Scheme != "https" && !(private && u.Scheme == "http"):
		return Invalid(field, "does not begin with https")
	case u.User != nil:
		return Invalid(field, "names a user; the signature says who calls")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return Invalid(field, "has a fragment")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65_535 {
			return Invalid(field, "has a port that is none")
		}
	}
	if !private && isLocalHost(u.Hostname()) {
		return Invalid(field, "leads into a private network")
	}
	return nil
}

// isLocalHost tells the plain cases, for those who mistake; what decides is the address that is called.
func isLocalHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return !ip.IsGlobalUnicast() || ip.IsPrivate()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// webhookSecretPrefix stands before a secret as it is shown (Standard Webhooks).
const webhookSecretPrefix = "whsec_"

// ShownSecret is a secret as the merchant is told it, once.
func ShownSecret(secret []byte) string {
	return webhookSecretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// SignWebhook is the header `webhook-signature`: a signature for each secret, over the id, the instant in seconds, and the body
// (Standard Webhooks 1.0, rule N6).
func SignWebhook(secrets [][]byte, id string, seconds int64, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		sum := hmac.New(sha256.New, secret)
		_, _ = fmt.Fprintf(sum, "%s.%d.%s", id, seconds, body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil))
	}
	return strings.Join(signatures, " ")
}
