package transport

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// eventsPerTurn is how many events of one subscription are pushed before the next subscription of the connection has its turn.
const eventsPerTurn = 16

// nullData is the data of an event whose root field failed.
var nullData = []byte("null")

// place takes the source that a resolver parks while a subscription is opened.
type place struct {
	mu     sync.Mutex
	sealed bool
	source Source
}

func (p *place) park(source Source) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed || p.source != nil {
		return ErrCannotPark
	}
	p.source = source
	return nil
}

// seal ends the opening: nothing is taken after it.
func (p *place) seal() Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealed = true
	return p.source
}

// park keeps what is needed to execute the subscription for an event, and lets its goroutine go.
func (c *Conn) park(o *operation, opCtx *graphql.OperationContext, source Source) {
	o.source = source
	o.template = c.transport.templates.acquire(c.exec, opCtx)
	o.extensions = opCtx.Extensions
	c.announce(o)
	ok := o.template.safely(c.ctx, func() { source.Attach(o.wake) })
	if !ok {
		c.sendError(o, o.id, opCtx, gqlerror.List{newError("INTERNAL", "internal system error")})
	}
	c.mu.Lock()
	o.cancel = nil
	if o.done || !ok {
		c.mu.Unlock()
		c.end(o)
		return
	}
	c.enqueue(o)
	c.mu.Unlock()
}

// wake is what a source calls when it may have events.
func (o *operation) wake() {
	c := o.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case o.done:
	case o.state == stateRunning:
		o.again = true
	case o.state == stateIdle:
		c.enqueue(o)
	}
}

// enqueue gives an operation its turn. mu must be held.
func (c *Conn) enqueue(o *operation) {
	o.state = stateReady
	if !c.pumping {
		c.pumping = true
		c.transport.pump(c)
	}
}

const (
	// idlePumps is how many goroutines wait for a connection that has something to push: one that has pushed before has the stack it needs,
	// and letting that grow is a fifth of what a push costs.
	idlePumps = 64
	// idlePump is how long it waits.
	idlePump = time.Second
)

// pump gives a connection that has something to push a goroutine. It does not block.
func (t *WebSocket) pump(c *Conn) {
	select {
	case t.pumps <- c:
	default:
		t.running.Go(func() { t.pumpOn(c) })
	}
}

// pumpOn pumps a connection, and then whichever has something.
func (t *WebSocket) pumpOn(c *Conn) {
	timer := time.NewTimer(idlePump)
	defer timer.Stop()
	for c != nil {
		c.pump()
		c = nil
		timer.Reset(idlePump)
		if t.idle.Add(1) <= idlePumps {
			select {
			case c = <-t.pumps:
			case <-timer.C:
			case <-t.closing:
			}
		}
		t.idle.Add(-1)
	}
}

// dequeue returns the operation whose turn it is, or nil. mu must be held.
func (c *Conn) dequeue() *operation {
	for i := range c.operations {
		at := (c.turn + i) % len(c.operations)
		if o := c.operations[at]; o.state == stateReady {
			c.turn = at + 1
			o.state = stateRunning
			o.again = false
			return o
		}
	}
	return nil
}

// pump pushes the events of the connection's parked subscriptions, a turn each. It lives while one of them is ready.
func (c *Conn) pump() {
	for {
		c.mu.Lock()
		o := c.dequeue()
		if o == nil {
			c.pumping = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		more := c.push(o)
		c.mu.Lock()
		switch {
		case o.done:
			c.mu.Unlock()
			c.end(o)
			continue
		case more || o.again:
			o.state = stateReady
		default:
			o.state = stateIdle
		}
		c.mu.Unlock()
	}
}

// push takes a turn's events and sends them. It reports whether there may be more.
func (c *Conn) push(o *operation) bool {
	ctx, cancel := withTimeout(c.viewer, c.transport.options.Timeout)
	defer cancel()
	events, err := c.take(ctx, o)
	if !c.pushEvents(ctx, o, events) {
		return false
	}
	if err == nil {
		return len(events) >= eventsPerTurn
	}
	if err == io.EOF { //nolint:errorlint // the sentinel itself: a wrapped one may be a lost connection to the database, and the stream did not end.
		out := takeBuffer()
		out.complete(o.id)
		c.send(o, true, out.bytes)
		out.free()
		return false
	}
	if wanted, ok := errors.AsType[*CloseError](err); ok {
		c.Close(wanted.Code, wanted.Reason)
		return false
	}
	c.sendError(o, o.id, o.operationContext(), presentable(err))
	return false
}

// outbox gathers the results of a turn, which are sent with one write unless they are large.
type outbox struct {
	*buffer
	operation *operation
	waiting   int
}

// add takes the result of one event, as JSON, and reports whether to go on.
func (b *outbox) add(payload []byte) bool {
	b.next(b.operation.id, payload)
	b.waiting++
	return len(b.bytes) < pooledBuffer/2 || b.flush()
}

// flush sends what waits, and reports whether to go on.
func (b *outbox) flush() bool {
	c := b.operation.conn
	if b.waiting > 0 && !c.send(b.operation, false, b.bytes) {
		return false
	}
	for ; b.waiting > 0; b.waiting-- {
		call(c.transport.options.Hooks.EventPushed)
	}
	b.bytes = b.bytes[:0]
	return true
}

// pushEvents executes the subscription for a turn's events, unless somebody else's result will do, and sends the results. It reports
// whether to go on.
func (c *Conn) pushEvents(ctx context.Context, o *operation, events []Event) bool {
	out := outbox{buffer: takeBuffer(), operation: o}
	defer out.free()
	for first := true; len(events) > 0; first = false {
		payload, mine := c.transport.shares.claim(ctx, o, events[0])
		if payload != nil {
			if !out.add(payload) {
				return false
			}
			events = events[1:]
			continue
		}
		if !first {
			// The time was for the events that were done before.
			var cancel context.CancelFunc
			ctx, cancel = withTimeout(c.viewer, c.transport.options.Timeout)
			defer cancel()
		}
		done, ok := c.execute(ctx, o, events, &out)
		mine.abandon()
		if !ok {
			return false
		}
		events = events[done:]
	}
	return out.flush()
}

func (c *Conn) take(ctx context.Context, o *operation) (events []Event, err error) {
	if !o.template.safely(ctx, func() { events, err = o.source.Take(ctx, eventsPerTurn) }) {
		return nil, newError("INTERNAL", "internal system error")
	}
	return events, err
}

// execute executes the subscription once, for the first event and as many behind it as the resolver takes with it, and answers for how
// many. It reports whether to go on.
func (c *Conn) execute(ctx context.Context, o *operation, events []Event, out *outbox) (done int, ok bool) {
	ok = true
	done, late := executeTurn(ctx, c.exec, o.operationContext(), events, func(event Event, resp *graphql.Response) bool {
		payload := encodeResponse(resp)
		if len(resp.Errors) == 0 {
			c.transport.shares.offer(o, event, payload)
		}
		ok = out.add(payload)
		return ok
	})
	if late {
		// Going on would be a gap: what the client has of this event is an error, or nothing. It has the cursor before it.
		out.flush()
		c.shut(CloseTryAgain, reasonLate)
		return done, false
	}
	return done, ok
}

// reasonLate is why a client is sent back to its last cursor.
const reasonLate = "an event took too long, or could not be read now: resume from the last cursor"

// executeTurn executes a subscription once, for the first event and as many behind it as the resolver takes with it, and answers for how
// many. send takes each result, with its cursor, and reports whether to go on. late: an event's time was over, and it has no result; or the
// result says that something of the event cannot be had now, which is none either: who stored its cursor would never see the event.
func executeTurn(
	ctx context.Context, exec graphql.GraphExecutor, opCtx *graphql.OperationContext, events []Event, send func(Event, *graphql.Response) bool,
) (done int, late bool) {
	t := &turn{events: events}
	var handler graphql.ResponseHandler
	var handlerCtx context.Context
	for {
		resp, panicked := guard(ctx, exec, opCtx, func() *graphql.Response {
			if done == 0 {
				handler, handlerCtx = exec.DispatchOperation(&turnContext{ctx, t, &events[0]}, opCtx)
				return handler(handlerCtx)
			}
			return handler(&turnContext{handlerCtx, t, &events[done]})
		})
		if resp == nil && ctx.Err() != nil || isForNow(resp) {
			return done, true
		}
		// A nil response: the resolver has nothing to say about this event.
		if resp != nil && !send(events[done], withCursor(resp, events[done].Cursor)) {
			return done, false
		}
		done++
		// Only as long as what is in the channel are the events that follow: an interceptor may have answered without looking into it.
		if resp == nil || panicked || done >= t.given || t.left() != t.given-done {
			return done, false
		}
	}
}

// isForNow reports whether an error of a result will pass (CodeUnavailable).
func isForNow(resp *graphql.Response) bool {
	return resp != nil && slices.ContainsFunc(resp.Errors, func(err *gqlerror.Error) bool { return err.Extensions["code"] == CodeUnavailable })
}

// withCursor makes of a result what is sent for an event.
func withCursor(resp *graphql.Response, cursor string) *graphql.Response {
	if resp.Data == nil {
		resp.Data = nullData
	}
	if cursor != "" {
		// An interceptor may have used one map for several responses.
		extensions := make(map[string]any, len(resp.Extensions)+1)
		maps.Copy(extensions, resp.Extensions)
		extensions["cursor"] = cursor
		resp.Extensions = extensions
	}
	return resp
}
