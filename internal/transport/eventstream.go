package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// eventStream is one operation whose results are events. It belongs to one goroutine.
type eventStream struct {
	pipe *eventPipe
	// id, as JSON, names the operation among those of a reserved stream; empty where the stream is its own.
	id string
	// seat and leave are of a reserved stream: leave makes the id free, before its client hears that the operation is complete.
	seat    *seat
	leave   func()
	expires time.Time
	woken   chan struct{} // the source may have something
	out     bytes.Buffer
	over    bool // nothing more is written
}

// serve runs the operation.
func (s *eventStream) serve(ctx context.Context, cancel context.CancelFunc, method string, params *graphql.RawParams, answer answerer) {
	timeout := s.pipe.transport.options.Timeout
	parsing, parsed := withTimeout(graphql.StartOperationTrace(ctx), timeout)
	defer parsed()
	opCtx, errs, _ := createOperation(parsing, s.pipe.exec, params)
	if len(errs) > 0 {
		s.begin()
		s.last(requestError(ctx, s.pipe.exec, opCtx, errs))
		return
	}
	if opCtx.Operation.Operation == ast.Mutation && method == http.MethodGet {
		answer.w.Header().Set("Allow", http.MethodPost)
		answer.refuse(ctx, http.StatusMethodNotAllowed, newError(CodeInvalid, "a mutation must be sent by POST"))
		return
	}
	if opCtx.Operation.Operation != ast.Subscription {
		s.begin()
		resp, _ := guard(parsing, s.pipe.exec, opCtx, func() *graphql.Response {
			handler, handlerCtx := s.pipe.exec.DispatchOperation(parsing, opCtx)
			return handler(handlerCtx)
		})
		if resp == nil {
			resp = requestError(ctx, s.pipe.exec, opCtx, gqlerror.List{newError(CodeUnavailable, "the operation took too long")})
		}
		s.last(resp)
		return
	}
	parsed()
	// The head is sent once the subscription listens: who has it misses nothing that happens then.
	opened := openSubscription(ctx, cancel, s.pipe.exec, opCtx, timeout)
	s.begin()
	if opened.refusal != nil {
		s.last(opened.refusal)
		return
	}
	call(s.pipe.transport.options.Hooks.SubscriptionOpened)
	defer call(s.pipe.transport.options.Hooks.SubscriptionClosed)
	if opened.source != nil {
		s.follow(ctx, opCtx, opened.source)
		return
	}
	s.relay(ctx, cancel, opCtx, opened)
}

// begin sends the head of the answer, unless the stream was there before the operation.
func (s *eventStream) begin() {
	if s.id == "" {
		s.pipe.begin()
	}
}

// add writes a result into the buffer. On a stream of many operations the event has no id: that of one would stand for all.
func (s *eventStream) add(cursor string, payload []byte) {
	if s.id == "" {
		appendEvent(&s.out, "next", cursor, payload)
		return
	}
	data := appendMember([]byte{'{'}, "id", []byte(s.id))
	appendEvent(&s.out, "next", "", append(appendMember(data, "payload", payload), '}'))
}

// flush sends the buffer, and reports whether the client takes it.
func (s *eventStream) flush() bool {
	ok := (s.seat == nil || !s.seat.left.Load()) && s.pipe.send(s.out.Bytes())
	if s.out.Cap() > pooledBuffer {
		s.out = bytes.Buffer{}
	}
	s.out.Reset()
	return ok
}

// last sends a response and that it was the last.
func (s *eventStream) last(resp *graphql.Response) {
	s.add("", encodeResponse(resp))
	s.complete()
}

func (s *eventStream) complete() {
	var data []byte
	if s.id != "" {
		s.leave()
		data = append(appendMember([]byte{'{'}, "id", []byte(s.id)), '}')
	} else {
		s.pipe.complete()
	}
	appendEvent(&s.out, "complete", "", data)
	s.flush()
	s.over = true
}

// fail ends the stream before its time and says why. Of a stream of many operations it ends all.
func (s *eventStream) fail(ctx context.Context, end CloseError) {
	s.flush()
	if s.id != "" {
		s.pipe.Close(end.Code, end.Reason)
	} else {
		s.pipe.fail(ctx, end)
	}
	s.over = true
}

// expiry is when what something is allowed with ends; nil: never.
func expiry(at time.Time) (<-chan time.Time, func()) {
	if at.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(at))
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
		if loser, ok := source.(Loser); ok && s.pipe.isBroken() {
			silent := s.pipe.silent()
			app.safely(ctx, func() { loser.Lost(silent) })
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
		s.last(requestError(ctx, s.pipe.exec, opCtx, gqlerror.List{newError("INTERNAL", "internal system error")}))
		return
	}
	expired, stop := expiry(s.expires)
	defer stop()
	interval := never // who serves a stream of many operations keeps it alive
	if s.id == "" {
		interval = positiveOr(s.pipe.transport.options.KeepAlive, never)
	}
	keepAlive := time.NewTicker(interval)
	defer keepAlive.Stop()
	for !s.pipe.isBroken() {
		if s.push(ctx, app, source) {
			continue
		}
		if s.pipe.isBroken() || s.over || ctx.Err() != nil {
			return
		}
		select {
		case <-s.woken:
		case <-keepAlive.C:
			s.pipe.keepAlive()
		case <-expired:
			s.fail(ctx, CloseError{Code: CloseForbidden, Reason: reasonExpired})
			return
		case <-s.pipe.ended:
			s.fail(ctx, s.pipe.end)
			return
		case <-s.pipe.transport.closing: // no event: a client comes back by itself
			return
		case <-ctx.Done():
			return
		}
	}
}

// push takes some events and sends them. It reports whether there may be more; where the stream has ended, it has ended s.
func (s *eventStream) push(ctx context.Context, app *template, source Source) bool {
	turn, cancel := withTimeout(ctx, s.pipe.transport.options.Timeout)
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
			execution, done = withTimeout(ctx, s.pipe.transport.options.Timeout)
			defer done()
		}
		done, late := executeTurn(execution, s.pipe.exec, app.opCtx, events, func(event Event, resp *graphql.Response) bool {
			s.add(event.Cursor, encodeResponse(resp))
			if s.out.Len() >= pooledBuffer/2 && !s.flush() {
				return false
			}
			call(s.pipe.transport.options.Hooks.EventPushed)
			return true
		})
		if late && ctx.Err() == nil {
			// Going on would be a gap: what the client has of this event is an error, or nothing. It has the cursor before it.
			s.fail(ctx, CloseError{Code: CloseTryAgain, Reason: reasonLate})
		}
		if late || s.pipe.isBroken() {
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
		s.pipe.Close(wanted.Code, wanted.Reason)
		return false
	}
	if err == io.EOF { //nolint:errorlint // the sentinel itself, as io.Reader.
		s.complete()
	} else {
		s.last(requestError(ctx, s.pipe.exec, app.opCtx, presentable(err)))
	}
	return false
}

// relay sends what a resolver's channel gives, until it is closed or the stream has ended. Who waits for the channel cannot look at anything
// else: what ends the stream ends the channel's context.
func (s *eventStream) relay(ctx context.Context, cancel context.CancelFunc, opCtx *graphql.OperationContext, opened opening) {
	expired, stop := expiry(s.expires)
	defer stop()
	var why CloseError
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-expired:
			why = CloseError{Code: CloseForbidden, Reason: reasonExpired}
		case <-s.pipe.ended:
			why = s.pipe.end
		case <-s.pipe.transport.closing:
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
		resp, _ := guard(opened.ctx, s.pipe.exec, opCtx, func() *graphql.Response { return opened.handler(opened.ctx) })
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
		s.add("", encodeResponse(resp))
		if !s.flush() {
			return
		}
		call(s.pipe.transport.options.Hooks.EventPushed)
	}
}
