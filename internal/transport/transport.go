// Package transport carries GraphQL between clients and an executor.
//
// It has four implementations of gqlgen's [graphql.Transport]: [HTTP] for requests with one answer, [Multipart] for such with files, [WebSocket]
// for graphql-transport-ws, and [Events] for server-sent events. They follow the protocol texts where gqlgen's own transports do not, and a WebSocket costs bytes instead of
// goroutines: see [Park].
//
// The package knows nothing of the application above it. What it has to say about a failure it says through the executor, so that the
// application's error presenter and recover function see everything a client sees.
package transport

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Values of extensions.code in the errors that are made here, not in a resolver. They pass the executor's error presenter, which may
// rename them.
const (
	// CodeInvalid: the request is malformed, or asks this transport for what it does not do.
	CodeInvalid = "INVALID"
	// CodeLimitExceeded: a limit of this package; extensions.limit is its value.
	CodeLimitExceeded = "LIMIT_EXCEEDED"
	// CodePreflight: the request could have been sent by a form of any page, and lacks the header that proves otherwise.
	CodePreflight = "PREFLIGHT_REQUIRED"
	// CodeUnauthenticated: what an event stream was allowed with has ended.
	CodeUnauthenticated = "UNAUTHENTICATED"
	// CodeUnavailable: the time for one operation ran out. An error of the application with this code says that it will pass: an event whose
	// result has one is not pushed, and the client sent back to the cursor before it.
	CodeUnavailable = "UNAVAILABLE"
)

// Defaults of the options, used where an option is zero.
const (
	DefaultMaxBody          = 1 << 20  // bytes of one HTTP body or WebSocket message
	DefaultMaxInitMessage   = 16 << 10 // bytes of one WebSocket message before connection_ack: a token fits many times
	DefaultTimeout          = 10 * time.Second
	DefaultInitTimeout      = 10 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultPingInterval     = 25 * time.Second // below the idle limit of common proxies, 30 s or 60 s
	DefaultPongTimeout      = 10 * time.Second
	DefaultMaxSubscriptions = 50
	DefaultMaxOperations    = 16
	DefaultMaxOpenings      = 4096 // fewer would read the rows that subscriptions of one stream catch up with less often together
)

// Close codes of WebSocket connections: RFC 6455, 7.4.1, its IANA registry, and graphql-transport-ws. Clients that follow graphql-ws
// connect again after 1001, 1006, 1012, 1013, 4403 and 4408, and give up after the others.
const (
	CloseNormal           uint16 = 1000
	CloseGoingAway        uint16 = 1001 // the peer answers no pings
	CloseProtocolError    uint16 = 1002
	CloseNoStatus         uint16 = 1005 // never sent: the peer's close frame had no code
	CloseAbnormal         uint16 = 1006 // never sent: the connection was lost
	CloseInvalidText      uint16 = 1007
	CloseTooBig           uint16 = 1009
	CloseInternal         uint16 = 1011
	CloseRestart          uint16 = 1012 // shutdown: come back
	CloseTryAgain         uint16 = 1013 // overload, or a reader that is too slow: resume from the last cursor
	CloseInvalidMessage   uint16 = 4400
	CloseUnauthorized     uint16 = 4401 // subscribe before connection_ack
	CloseForbidden        uint16 = 4403 // connection_init refused, or what it was allowed for has ended
	CloseBadSubprotocol   uint16 = 4406
	CloseInitTimeout      uint16 = 4408
	CloseSubscriberExists uint16 = 4409
	CloseSecondInit       uint16 = 4429
)

// Hooks are called as things happen, so that the caller can count them. A nil hook is skipped. They run on the transport's own
// goroutines, some of them at once: they must be safe for concurrent use and must not block.
type Hooks struct {
	// Opened: a WebSocket was accepted. Each call is followed by exactly one of Closed.
	Opened func()
	// Closed: a WebSocket has ended, with the code that was sent or, where the peer closed first, received; [CloseAbnormal] if it was lost.
	Closed func(code uint16)
	// Refused: an upgrade found no room.
	Refused func(why Refusal)
	// SubscriptionOpened: a subscription was parked, or its resolver's channel is being read. Each call is followed by exactly one of
	// SubscriptionClosed.
	SubscriptionOpened func()
	SubscriptionClosed func()
	// EventPushed: one `next` of a subscription was handed to the operating system.
	EventPushed func()
	// StreamOpened: the head of an event stream was sent; isShared: it is one of many operations. Each call is followed by exactly one of
	// StreamClosed.
	StreamOpened func(isShared bool)
	// StreamClosed: an event stream has ended, with the code that a WebSocket would have ended with: [CloseNormal] after `complete`,
	// [CloseNoStatus] if the client left, [CloseAbnormal] if it could not be written to, that of an event `error`.
	StreamClosed func(isShared bool, code uint16)
	// Reserved: a stream of many operations was reserved. Each call is followed by exactly one of ReservationEnded, with the end of its
	// stream, or because nobody opened it.
	Reserved         func()
	ReservationEnded func()
}

// Refusal is why an upgrade to WebSocket found no room.
type Refusal string

// The refusals: the limits of [WebSocketOptions], and that the transport is closed.
const (
	RefusedConnections Refusal = "connections" // MaxConnections
	RefusedStrangers   Refusal = "strangers"   // MaxStrangers
	RefusedPeer        Refusal = "peer"        // MaxStrangersPerPeer
	RefusedClosing     Refusal = "closing"
)

// CloseError asks for the end of the whole connection. [WebSocketOptions.Init] and [Source.Take] may return it.
type CloseError struct {
	// Code is a WebSocket close code: 1000 to 1014 without those that are never sent, or 3000 to 4999.
	Code uint16
	// Reason is shown to the client; what is over 123 bytes is cut off.
	Reason string
}

// Error implements error.
func (e *CloseError) Error() string {
	return fmt.Sprintf("close %d: %s", e.Code, e.Reason)
}

// ErrCannotPark is returned by [Park] under a transport that does not keep subscriptions.
var ErrCannotPark = errors.New("this transport cannot keep a subscription open")

func newError(code, format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": code}}
}

func limitError(limit int, format string, args ...any) *gqlerror.Error {
	err := newError(CodeLimitExceeded, format, args...)
	err.Extensions["limit"] = limit
	return err
}

func orDefault[T cmp.Ordered](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

var (
	_ graphql.Transport = HTTP{}
	_ graphql.Transport = Multipart{}
	_ graphql.Transport = (*WebSocket)(nil)
	_ graphql.Transport = (*Events)(nil)
)
