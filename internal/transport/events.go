package transport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// DefaultKeepAlive is the time between two comments on a stream on which nothing else is written: below the idle limit of common proxies.
const DefaultKeepAlive = 25 * time.Second

// lastEventIDBytes is the longest Last-Event-ID that is looked at.
const lastEventIDBytes = 1 << 10

// EventsOptions configure [Events]. The zero value is usable.
type EventsOptions struct {
	// Begin is asked about each stream, and each operation of a reserved one, before anything of it is parsed. The returned context must come
	// from ctx; its values are those of the operation, which may outlive the request and its answer. At the returned time, unless it is zero,
	// the stream ends as by Close with [CloseForbidden]. nil: everybody is let in, for ever.
	Begin func(ctx context.Context) (context.Context, time.Time)
	// Timeout is as in [WebSocketOptions].
	Timeout time.Duration
	// WriteTimeout is the time for what is written at once to be taken by the peer; then the stream ends. Zero or less: [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// KeepAlive is the time between two comments while nothing else is written. Zero: [DefaultKeepAlive]; negative: none.
	KeepAlive time.Duration
	// MaxBody and Draft are as in [HTTP]; Draft is for requests that begin no stream.
	MaxBody int64
	Draft   bool
	// MaxStreams is the most streams at once; above it requests are answered 503. Zero or less: no limit.
	MaxStreams int
	// Reservations are for streams of many operations; the zero value is for none.
	Reservations ReservationOptions
	// Hooks are called as streams, reservations and subscriptions come and go; those of WebSockets are not.
	Hooks Hooks
}

// Events serves GraphQL over server-sent events, one operation a request (the "distinct connections mode" of the graphql-sse protocol): by
// POST with application/json, and by GET, so that a browser's EventSource can be used; and, where [ReservationOptions] ask for it, many
// operations over one stream (its "single connection mode").
//
// Each result is an event `next` with the execution result as its data and, where the operation is a parked subscription, the cursor behind
// it as its id, which a client that comes back sends as Last-Event-ID: see [LastEventID]. Then comes `complete`, with empty data, since a
// browser keeps back events that have none. A document that is refused is a `next` with the errors. What ends a stream before its time, a
// token that has expired for instance, is an event `error` whose data is a list of errors, with the close code that a WebSocket would have
// got as extensions.closeCode; nothing follows it. A request that is malformed is answered as [HTTP] answers it.
//
// A stream has the goroutine of its request. Each write has a deadline, and nothing is queued: who is slow is behind with its position.
//
// It must be added before [HTTP]. It is safe for concurrent use.
type Events struct {
	options EventsOptions

	mu      sync.Mutex
	closed  bool
	count   int
	closing chan struct{}
	running sync.WaitGroup
	// reserved holds all reservations by their token, and held how many each principal has.
	reserved map[string]*reservation
	held     map[string]int
}

// NewEvents returns a transport that serves under options.
func NewEvents(options EventsOptions) *Events {
	options.Timeout = orDefault(options.Timeout, DefaultTimeout)
	options.WriteTimeout = positiveOr(options.WriteTimeout, DefaultWriteTimeout)
	options.KeepAlive = orDefault(options.KeepAlive, DefaultKeepAlive)
	options.Reservations = options.Reservations.withDefaults()
	return &Events{
		options: options, closing: make(chan struct{}), reserved: make(map[string]*reservation), held: make(map[string]int),
	}
}

// Supports implements [graphql.Transport]: who would rather have an event stream than one response, and what reserved streams are worked with.
func (t *Events) Supports(r *http.Request) bool {
	return t.isReserving(r) || (r.Method == http.MethodGet || r.Method == http.MethodPost) && !isUpgrade(r) && prefersEvents(r.Header.Values("Accept"))
}

// Close ends all streams and reservations, which come back to another node or a moment later, and waits for them until ctx ends. Requests that come after it
// are answered 503.
func (t *Events) Close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
	for _, r := range t.reserved {
		if !r.open {
			t.forget(r)
		}
	}
	t.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		t.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Events) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.options.MaxStreams > 0 && t.count >= t.options.MaxStreams {
		return false
	}
	t.count++
	t.running.Add(1)
	return true
}

func (t *Events) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count--
	t.running.Done()
}

type (
	streamKey      struct{}
	lastEventIDKey struct{}
)

// LastEventID is the id of the last event that a client got before it came back, which overrides where its subscription says to begin. ok is
// false where the client says none, and outside of event streams.
func LastEventID(ctx context.Context) (id string, ok bool) {
	id, ok = ctx.Value(lastEventIDKey{}).(string)
	return id, ok
}

// Do implements [graphql.Transport]. It returns when the stream has ended.
func (t *Events) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	w.Header().Add("Vary", "Accept")
	answer := answerer{w: w, exec: exec, media: mediaJSON, draft: t.options.Draft}
	if t.isReserving(r) {
		t.serveReserved(w, r, answer)
		return
	}
	params := answer.params(r, t.options.MaxBody)
	if params == nil {
		return
	}
	if !t.enter() {
		w.Header().Set("Retry-After", "5")
		answer.refuse(r.Context(), http.StatusServiceUnavailable, newError(CodeUnavailable, "too many streams: try again"))
		return
	}
	defer t.leave()
	pipe := newEventPipe(t, exec)
	pipe.attach(w)
	defer pipe.finish()
	s := &eventStream{pipe: pipe, woken: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), streamKey{}, pipe))
	defer cancel()
	if id := r.Header.Get("Last-Event-ID"); id != "" && len(id) <= lastEventIDBytes {
		ctx = context.WithValue(ctx, lastEventIDKey{}, id)
	}
	if t.options.Begin != nil {
		ctx, s.expires = t.options.Begin(ctx)
	}
	s.serve(ctx, cancel, r.Method, params, answer)
}
