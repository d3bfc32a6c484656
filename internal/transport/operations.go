package transport

import (
	"context"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Who works on an operation.
const (
	stateRunning uint8 = iota // a goroutine of its own, or the pump
	stateIdle                 // parked; nobody until its source wakes it
	stateReady                // parked; the pump when its turn comes
)

// operation is what a subscribe message began. Fields without a word are guarded by the connection's mu.
type operation struct {
	conn *Conn  // never changes
	id   string // never changes; JSON
	// cancel ends the context of the goroutine that works on it.
	cancel context.CancelFunc
	// done: it has ended for the client, nothing more is written for it. Whoever works on it calls end.
	done      bool
	again     bool // woken while it was running
	state     uint8
	counted   bool // in streams
	announced bool // by the hook SubscriptionOpened
	// The rest belongs to the goroutine that works on it.
	source     Source
	template   *template
	extensions map[string]any
}

// request is a subscribe message that nobody has looked at.
type request struct {
	operation *operation
	params    *graphql.RawParams
}

// find must be called with mu held.
func (c *Conn) find(id string) *operation {
	for _, o := range c.operations {
		if o.id == id {
			return o
		}
	}
	return nil
}

// forget ends an operation for the client: its id is free again. mu must be held.
func (c *Conn) forget(o *operation) {
	o.done = true
	for i := range c.operations {
		if c.operations[i] == o {
			c.operations = append(c.operations[:i], c.operations[i+1:]...)
			return
		}
	}
}

// stop does what the client's `complete` asks. An id that is not active is no mistake: the server's own `complete` may be on its way.
func (c *Conn) stop(id string) {
	c.mu.Lock()
	o := c.find(id)
	if o == nil {
		c.mu.Unlock()
		return
	}
	c.forget(o)
	// What nobody has begun is let go of at once: else a client could have any number of them wait, each with its document.
	c.waiting = slices.DeleteFunc(c.waiting, func(r request) bool { return r.operation == o })
	cancel, resting := o.cancel, o.state != stateRunning
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if resting {
		c.end(o)
	}
}

// end lets go of what an operation holds. It is called once, by the one who works on it or found it resting.
func (c *Conn) end(o *operation) {
	if o.source != nil {
		if loser, ok := o.source.(Loser); ok && c.isClosing() && !c.left.Load() {
			silent := time.Duration(time.Now().UnixNano() - c.heardAt.Load())
			o.template.safely(c.ctx, func() { loser.Lost(silent) })
		}
		o.template.safely(c.ctx, o.source.Close)
		c.transport.templates.release(o.template)
	}
	c.mu.Lock()
	if o.counted {
		c.streams--
	}
	announced := o.announced
	c.mu.Unlock()
	if announced {
		call(c.transport.options.Hooks.SubscriptionClosed)
	}
}

// open works off the subscribe messages that wait: one goroutine a connection, and only while there are any. Parsing one document after the
// other is all the processor time that one client gets for it.
func (c *Conn) open() {
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.opening = false
			c.waiting = nil
			c.mu.Unlock()
			return
		}
		next := c.waiting[0]
		c.waiting[0] = request{}
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
		c.begin(next.operation, next.params)
	}
}

// begin parses an operation and starts it.
func (c *Conn) begin(o *operation, params *graphql.RawParams) {
	ctx, cancel := withTimeout(graphql.StartOperationTrace(c.viewer), c.transport.options.Timeout)
	if !o.start(cancel) {
		return
	}
	opCtx, errs, _ := createOperation(ctx, c.exec, params)
	if len(errs) > 0 {
		cancel()
		c.sendError(o, o.id, opCtx, errs)
		return
	}
	stream := opCtx.Operation.Operation == ast.Subscription
	if exceeded := c.admit(o, stream); exceeded != nil {
		cancel()
		c.sendError(o, o.id, opCtx, gqlerror.List{exceeded})
		return
	}
	if stream {
		// Its time is not that of a query.
		cancel()
		c.spawn(func() { c.runStream(o, opCtx) })
		return
	}
	c.spawn(func() {
		defer cancel()
		c.runSingle(ctx, o, opCtx)
	})
}

// start makes cancel what ends the operation. It calls it where the operation has ended already.
func (o *operation) start(cancel context.CancelFunc) bool {
	o.conn.mu.Lock()
	if !o.done {
		o.cancel = cancel
	}
	done := o.done
	o.conn.mu.Unlock()
	if done {
		cancel()
	}
	return !done
}

// admit counts an operation unless there are too many of its kind.
func (c *Conn) admit(o *operation, stream bool) *gqlerror.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stream {
		if limit := c.transport.options.MaxSubscriptions; c.streams >= limit {
			return limitError(limit, "more than %d subscriptions on one connection", limit)
		}
		c.streams++
		o.counted = true
		return nil
	}
	if limit := c.transport.options.MaxOperations; c.singles >= limit {
		return limitError(limit, "more than %d queries and mutations at once on one connection", limit)
	}
	c.singles++
	return nil
}

// runSingle executes a query or mutation.
func (c *Conn) runSingle(ctx context.Context, o *operation, opCtx *graphql.OperationContext) {
	defer func() {
		c.mu.Lock()
		c.singles--
		c.mu.Unlock()
	}()
	resp, _ := guard(ctx, c.exec, opCtx, func() *graphql.Response {
		handler, handlerCtx := c.exec.DispatchOperation(ctx, opCtx)
		return handler(handlerCtx)
	})
	switch {
	case resp == nil:
		c.sendError(o, o.id, opCtx, gqlerror.List{newError(CodeUnavailable, "the operation took too long")})
	case isRequestError(resp):
		c.sendResponseError(o, o.id, resp)
	default:
		out := takeBuffer()
		out.next(o.id, encodeResponse(resp))
		out.complete(o.id)
		c.send(o, true, out.bytes)
		out.free()
	}
}

// runStream opens a subscription, when its turn has come. It returns when that is parked, or when it has ended.
func (c *Conn) runStream(o *operation, opCtx *graphql.OperationContext) {
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(c.viewer))
	defer cancel()
	if !o.start(cancel) {
		c.end(o)
		return
	}
	if !c.transport.enter(ctx) {
		c.end(o)
		return
	}
	opened := openSubscription(ctx, cancel, c.exec, opCtx, c.transport.options.Timeout)
	c.transport.leave()
	switch {
	case opened.refusal != nil:
		c.sendResponseError(o, o.id, opened.refusal)
	case opened.source != nil:
		c.park(o, opCtx, opened.source)
		return
	default:
		c.announce(o)
		c.relay(opened.ctx, o, opCtx, opened.handler)
	}
	c.end(o)
}

// opening is what came of a subscription's resolver: a refusal, a source that it parked, or a handler whose responses follow.
type opening struct {
	refusal *graphql.Response
	source  Source
	handler graphql.ResponseHandler
	ctx     context.Context
}

// openSubscription calls a subscription's resolver. cancel ends ctx, which it does once the time is over.
func openSubscription(
	ctx context.Context, cancel context.CancelFunc, exec graphql.GraphExecutor, opCtx *graphql.OperationContext, timeout time.Duration,
) (opened opening) {
	place := &place{}
	inTime := func() bool { return true }
	if timeout > 0 {
		inTime = time.AfterFunc(timeout, cancel).Stop
	}
	parking := context.WithValue(ctx, parkKey{}, place)
	opened.refusal, _ = guard(parking, exec, opCtx, func() *graphql.Response {
		opened.handler, opened.ctx = exec.DispatchOperation(parking, opCtx)
		return nil
	})
	opened.source = place.seal()
	switch {
	case opened.refusal != nil:
	case !inTime():
		opened.refusal = requestError(parking, exec, opCtx, gqlerror.List{newError(CodeUnavailable, "the subscription took too long to open")})
	case opened.source != nil:
		// A resolver that parked has left a closed channel behind: this does not wait. What it returns is why the opening failed after all.
		resp, _ := guard(parking, exec, opCtx, func() *graphql.Response { return opened.handler(opened.ctx) })
		if resp != nil && len(resp.Errors) > 0 {
			opened.refusal = resp
		}
	}
	if opened.refusal != nil && opened.source != nil {
		(&template{opCtx: opCtx}).safely(ctx, opened.source.Close)
		opened.source = nil
	}
	return opened
}

func (c *Conn) announce(o *operation) {
	c.mu.Lock()
	o.announced = true
	c.mu.Unlock()
	call(c.transport.options.Hooks.SubscriptionOpened)
}

// relay sends what a resolver's channel gives, until it is closed or the subscription has ended.
func (c *Conn) relay(ctx context.Context, o *operation, opCtx *graphql.OperationContext, handler graphql.ResponseHandler) {
	for {
		resp, _ := guard(ctx, c.exec, opCtx, func() *graphql.Response { return handler(ctx) })
		out := takeBuffer()
		switch {
		case resp == nil:
			out.complete(o.id)
			c.send(o, true, out.bytes)
			out.free()
			return
		case isRequestError(resp):
			out.free()
			c.sendResponseError(o, o.id, resp)
			return
		}
		out.next(o.id, encodeResponse(resp))
		sent := c.send(o, false, out.bytes)
		out.free()
		if !sent {
			return
		}
		call(c.transport.options.Hooks.EventPushed)
	}
}

func withTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}
