package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// DefaultKeepAlive is the time between two comments on a stream on which nothing else is written: below the idle limit of common proxies.
const DefaultKeepAlive = 25 * time.Second

// lastEventIDBytes is the longest Last-Event-ID that is looked at.
const lastEventIDBytes = 1 << 10

// EventsOptions configure [Events]. The zero value is usable.
type EventsOptions struct {
	// Begin is asked about each stream before anything of it is parsed. The returned context must come from ctx; its values are those of the
	// operation. At the returned time, unless it is zero, the stream ends as by Close with [CloseForbidden]. nil: everybody is let in, for ever.
	Begin func(ctx context.Context) (context.Context, time.Time)
	// Timeout is as in [WebSocketOptions].
	Timeout time.Duration
	// WriteTimeout is the time for what is written at once to be taken by the peer; then the stream ends. Zero or less: [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// KeepAlive is the time between two comments while nothing else is written. Zero: [DefaultKeepAlive]; negative: none.
	KeepAlive time.Duration
	// MaxBody is as in [HTTP].
	MaxBody int64
	// MaxStreams is the most streams at once; above it requests are answered 503. Zero or less: no limit.
	MaxStreams int
	// Hooks are called for subscriptions; those of connections are not.
	Hooks Hooks
}

// Events serves GraphQL over server-sent events, one operation a request (the "distinct connections mode" of the graphql-sse protocol): by
// POST with application/json, and by GET, so that a browser's EventSource can be used.
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
}

// NewEvents returns a transport that serves under options.
func NewEvents(options EventsOptions) *Events {
	options.Timeout = orDefault(options.Timeout, DefaultTimeout)
	options.WriteTimeout = positiveOr(options.WriteTimeout, DefaultWriteTimeout)
	options.KeepAlive = orDefault(options.KeepAlive, DefaultKeepAlive)
	return &Events{options: options, closing: make(chan struct{})}
}

// Supports implements [graphql.Transport]: who would rather have an event stream than one response.
func (t *Events) Supports(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodPost) && !isUpgrade(r) && prefersEvents(r.Header.Values("Accept"))
}

// Close ends all streams, which come back to another node or a moment later, and waits for them until ctx ends. Requests that come after it
// are answered 503.
func (t *Events) Close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.closing)
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
	answer := answerer{w: w, exec: exec, media: mediaJSON}
	members, status, refusal := readMembers(w, r, t.options.MaxBody)
	if refusal != nil {
		answer.refuse(r.Context(), status, refusal)
		return
	}
	params, err := decodeParams(members)
	if err != nil {
		answer.refuse(r.Context(), http.StatusBadRequest, newError(CodeInvalid, "%s", err))
		return
	}
	params.Headers = r.Header
	if !t.enter() {
		w.Header().Set("Retry-After", "5")
		answer.refuse(r.Context(), http.StatusServiceUnavailable, newError(CodeUnavailable, "too many streams: try again"))
		return
	}
	defer t.leave()
	s := &eventStream{
		transport: t, exec: exec, w: w, control: http.NewResponseController(w),
		woken: make(chan struct{}, 1), ended: make(chan struct{}), wroteAt: time.Now(),
	}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), streamKey{}, s))
	defer cancel()
	if id := r.Header.Get("Last-Event-ID"); id != "" && len(id) <= lastEventIDBytes {
		ctx = context.WithValue(ctx, lastEventIDKey{}, id)
	}
	if t.options.Begin != nil {
		ctx, s.expires = t.options.Begin(ctx)
	}
	s.serve(ctx, cancel, r.Method, params, answer)
}

// eventStream is one operation and its stream.
type eventStream struct {
	transport *Events
	exec      graphql.GraphExecutor
	w         http.ResponseWriter
	control   *http.ResponseController
	expires   time.Time
	woken     chan struct{} // the source may have something

	endOnce sync.Once
	ended   chan struct{} // closed once end says why
	end     CloseError

	// The rest belongs to the request's goroutine.
	out     bytes.Buffer
	wroteAt time.Time
	broken  bool // a write failed
	over    bool // nothing more is written
}

// Close implements [Closer]: the stream ends with an event `error`.
func (s *eventStream) Close(code uint16, reason string) {
	s.endOnce.Do(func() {
		s.end = CloseError{Code: code, Reason: reason}
		close(s.ended)
	})
}

// serve runs the operation.
func (s *eventStream) serve(ctx context.Context, cancel context.CancelFunc, method string, params *graphql.RawParams, answer answerer) {
	timeout := s.transport.options.Timeout
	parsing, parsed := withTimeout(graphql.StartOperationTrace(ctx), timeout)
	defer parsed()
	opCtx, errs, _ := createOperation(parsing, s.exec, params)
	if len(errs) > 0 {
		s.begin()
		s.last(requestError(ctx, s.exec, opCtx, errs))
		return
	}
	if opCtx.Operation.Operation == ast.Mutation && method == http.MethodGet {
		s.w.Header().Set("Allow", http.MethodPost)
		answer.refuse(ctx, http.StatusMethodNotAllowed, newError(CodeInvalid, "a mutation must be sent by POST"))
		return
	}
	if opCtx.Operation.Operation != ast.Subscription {
		s.begin()
		resp, _ := guard(parsing, s.exec, opCtx, func() *graphql.Response {
			handler, handlerCtx := s.exec.DispatchOperation(parsing, opCtx)
			return handler(handlerCtx)
		})
		if resp == nil {
			resp = requestError(ctx, s.exec, opCtx, gqlerror.List{newError(CodeUnavailable, "the operation took too long")})
		}
		s.last(resp)
		return
	}
	parsed()
	// The head is sent once the subscription listens: who has it misses nothing that happens then.
	opened := openSubscription(ctx, cancel, s.exec, opCtx, timeout)
	s.begin()
	if opened.refusal != nil {
		s.last(opened.refusal)
		return
	}
	call(s.transport.options.Hooks.SubscriptionOpened)
	defer call(s.transport.options.Hooks.SubscriptionClosed)
	if opened.source != nil {
		s.follow(ctx, opCtx, opened.source)
		return
	}
	s.relay(ctx, cancel, opCtx, opened)
}

// begin sends the head of the answer.
func (s *eventStream) begin() {
	header := s.w.Header()
	header.Set("Content-Type", mediaEvents+"; charset=utf-8")
	header.Set("Cache-Control", "no-cache, no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would gather what is written
	header.Set("X-Content-Type-Options", "nosniff")
	// The request was read; what the server allows for that must not end the stream.
	_ = s.control.SetReadDeadline(time.Time{})
	_ = s.control.SetWriteDeadline(time.Now().Add(s.transport.options.WriteTimeout))
	s.w.WriteHeader(http.StatusOK)
	s.broken = s.control.Flush() != nil
}

// add writes an event into the buffer. Lines of the data are lines of the event; JSON needs none but may have some.
func (s *eventStream) add(name, id string, data []byte) {
	s.out.WriteString("event: " + name + "\n")
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		s.out.WriteString("id: " + id + "\n")
	}
	for line := range bytes.SplitSeq(bytes.ReplaceAll(data, []byte("\r"), nil), []byte("\n")) {
		s.out.WriteString("data: ")
		s.out.Write(line)
		s.out.WriteByte('\n')
	}
	s.out.WriteByte('\n')
}

// flush sends the buffer, and reports whether the client takes it.
func (s *eventStream) flush() bool {
	if s.broken {
		return false
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(s.transport.options.WriteTimeout))
	_, err := s.w.Write(s.out.Bytes())
	if err == nil {
		err = s.control.Flush()
	}
	if s.out.Cap() > pooledBuffer {
		s.out = bytes.Buffer{}
	}
	s.out.Reset()
	s.broken = err != nil
	if !s.broken {
		s.wroteAt = time.Now()
	}
	return !s.broken
}

// last sends a response and that it was the last.
func (s *eventStream) last(resp *graphql.Response) {
	s.add("next", "", appendResponse(nil, resp))
	s.complete()
}

func (s *eventStream) complete() {
	s.out.WriteString("event: complete\ndata: \n\n")
	s.flush()
	s.over = true
}

// fail sends why the stream ends before its time.
func (s *eventStream) fail(ctx context.Context, end CloseError) {
	code := CodeUnavailable
	if end.Code == CloseForbidden {
		code = CodeUnauthenticated
	}
	err := newError(code, "%s", end.Reason)
	err.Extensions["closeCode"] = end.Code
	resp := requestError(ctx, s.exec, nil, gqlerror.List{err})
	s.add("error", "", marshalErrors(resp.Errors))
	s.flush()
	s.over = true
}

// expiry is when what the stream is allowed with ends; nil: never.
func (s *eventStream) expiry() (<-chan time.Time, func()) {
	if s.expires.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(s.expires))
	return timer.C, func() { timer.Stop() }
}

const reasonExpired = "what this stream was allowed with has expired"

// follow pushes the events of a parked subscription.
func (s *eventStream) follow(ctx context.Context, opCtx *graphql.OperationContext, source Source) {
	app := &template{opCtx: copyOperation(opCtx)}
	app.opCtx.Extensions = opCtx.Extensions
	if app.opCtx.Variables == nil {
		app.opCtx.Variables = map[string]any{}
	}
	defer func() {
		if loser, ok := source.(Loser); ok && s.broken {
			app.safely(ctx, func() { loser.Lost(time.Since(s.wroteAt)) })
		}
		app.safely(ctx, source.Close)
	}()
	wake := func() {
		select {
		case s.woken <- struct{}{}:
		default:
		}
	}
	if !app.safely(ctx, func() { source.Attach(wake) }) {
		s.last(requestError(ctx, s.exec, opCtx, gqlerror.List{newError("INTERNAL", "internal system error")}))
		return
	}
	expired, stop := s.expiry()
	defer stop()
	keepAlive := time.NewTicker(positiveOr(s.transport.options.KeepAlive, never))
	defer keepAlive.Stop()
	for !s.broken {
		if s.push(ctx, app, source) {
			continue
		}
		if s.broken || s.over || ctx.Err() != nil {
			return
		}
		select {
		case <-s.woken:
		case <-keepAlive.C:
			if time.Since(s.wroteAt) >= s.transport.options.KeepAlive/2 {
				s.out.WriteString(":\n\n")
				s.flush()
			}
		case <-expired:
			s.fail(ctx, CloseError{Code: CloseForbidden, Reason: reasonExpired})
			return
		case <-s.ended:
			s.fail(ctx, s.end)
			return
		case <-s.transport.closing: // no event: a client comes back by itself
			return
		case <-ctx.Done():
			return
		}
	}
}

// push takes some events and sends them. It reports whether there may be more; where the stream has ended, it has ended s.
func (s *eventStream) push(ctx context.Context, app *template, source Source) bool {
	turn, cancel := withTimeout(ctx, s.transport.options.Timeout)
	defer cancel()
	var events []Event
	var err error
	if !app.safely(turn, func() { events, err = source.Take(turn, eventsPerTurn) }) {
		err = newError("INTERNAL", "internal system error")
	}
	more := err == nil && len(events) >= eventsPerTurn
	for first := true; len(events) > 0; first = false {
		execution := turn
		if !first { // the time was for the events that were done before
			var done context.CancelFunc
			execution, done = withTimeout(ctx, s.transport.options.Timeout)
			defer done()
		}
		done, late := executeTurn(execution, s.exec, app.opCtx, events, func(event Event, resp *graphql.Response) bool {
			s.add("next", event.Cursor, appendResponse(nil, resp))
			if s.out.Len() >= pooledBuffer/2 && !s.flush() {
				return false
			}
			call(s.transport.options.Hooks.EventPushed)
			return true
		})
		if late && ctx.Err() == nil {
			// Going on would be a gap that the client cannot see. It has the cursor before this event.
			s.fail(ctx, CloseError{Code: CloseTryAgain, Reason: reasonLate})
		}
		if late || s.broken {
			return false
		}
		events = events[done:]
	}
	if s.out.Len() > 0 && !s.flush() || ctx.Err() != nil {
		return false
	}
	if err == nil {
		return more
	}
	if wanted, ok := errors.AsType[*CloseError](err); ok {
		s.Close(wanted.Code, wanted.Reason)
		return false
	}
	if err == io.EOF { //nolint:errorlint // the sentinel itself, as io.Reader.
		s.complete()
	} else {
		s.last(requestError(ctx, s.exec, app.opCtx, presentable(err)))
	}
	return false
}

// relay sends what a resolver's channel gives, until it is closed or the stream has ended. Who waits for the channel cannot look at anything
// else: what ends the stream ends the channel's context.
func (s *eventStream) relay(ctx context.Context, cancel context.CancelFunc, opCtx *graphql.OperationContext, opened opening) {
	expired, stop := s.expiry()
	defer stop()
	var why CloseError
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-expired:
			why = CloseError{Code: CloseForbidden, Reason: reasonExpired}
		case <-s.ended:
			why = s.end
		case <-s.transport.closing:
		case <-ctx.Done():
		}
		cancel()
	}()
	defer func() {
		cancel()
		<-watched
		if why.Code != 0 && !s.over {
			s.fail(context.WithoutCancel(ctx), why)
		}
	}()
	for {
		resp, _ := guard(opened.ctx, s.exec, opCtx, func() *graphql.Response { return opened.handler(opened.ctx) })
		switch {
		case ctx.Err() != nil:
			return
		case resp == nil:
			s.complete()
			return
		case isRequestError(resp):
			s.last(resp)
			return
		}
		s.add("next", "", appendResponse(nil, resp))
		if !s.flush() {
			return
		}
		call(s.transport.options.Hooks.EventPushed)
	}
}
