package wechat

import (
	"context"
	"log/slog"

	"clientele/models"
)

// Mode is how the bodies of an account's callbacks travel, as the merchant chose it in the
// platform's console. Source: WeChat official account documentation: access guide, message
// encryption and decryption.
type Mode string

// The modes. Any other value is treated as ModeSecure, so that a credential that was never
// completed refuses rather than admits.
const (
	// ModePlain is for bodies in plain XML. Their content is not signed: the platform signs the
	// address only, so whoever can read one request can forge another until its timestamp is stale.
	ModePlain Mode = "PLAIN"
	// ModeCompatible is for the time of changing over: a body that carries an encrypted part
	// counts only by that part, one that carries none is taken as in ModePlain.
	ModeCompatible Mode = "COMPATIBLE"
	// ModeSecure is for encrypted bodies only; a plain one is refused.
	ModeSecure Mode = "SECURE"
)

// Accounts finds the callback credentials of an account. Safe for concurrent use.
type Accounts interface {
	// Callback finds the account whose callback URL ends in callbackID. An unknown id is a
	// *models.Error with NOT_FOUND; any other error is answered so that the platform tries again.
	// What it answers may be some seconds old.
	Callback(ctx context.Context, callbackID string) (Callback, error)
	// CallbackNow is Callback without what is remembered: credentials change on both sides within
	// seconds, so nothing is refused by old ones.
	CallbackNow(ctx context.Context, callbackID string) (Callback, error)
}

// Callback is what one account's callbacks are checked with. It holds secrets: never log it.
type Callback struct {
	Account models.Key
	AppID   string
	// OriginalID is the account's gh_ id, to which its callbacks are addressed; empty while it is
	// not known, and then not checked.
	OriginalID string
	Mode       Mode
	// Tokens and AESKeys hold the present value and, for the time of a change (rule A4), the one
	// before it, newest first. Every token may go with every key: the console changes them
	// singly. An empty token, and a key that is not 43 characters of base64, admit nothing.
	Tokens  []string
	AESKeys []string
}

// String keeps the secrets out of logs and error texts.
func (c Callback) String() string { return "callback of " + c.Account.String() }

// GoString is String, for %#v.
func (c Callback) GoString() string { return c.String() }

// LogValue is String, for handlers that would write the fields.
func (c Callback) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Ingester stores what a callback brought. Safe for concurrent use.
type Ingester interface {
	// Ingest stores one item of an account and returns nil only once the item is durable. A
	// repeat of a stored item (models.Inbound.DedupKey) returns nil. Any error makes the platform
	// send the item again. It returns when ctx ends.
	Ingest(ctx context.Context, account models.Key, in models.Inbound) error
}
