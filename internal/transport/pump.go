package transport

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
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
	if len(opCtx.Variables) > 0 {
		o.variables = opCtx.Variables
	}
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
		c.spawn(c.pump)
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
	events, err := c.take(o)
	if !c.pushEvents(o, events) {
		return false
	}
	if err == nil {
		return len(events) >= eventsPerTurn
	}
	if err == io.EOF {
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

// add takes the result of one event, and reports whether to go on.
func (b *outbox) add(resp *graphql.Response) bool {
	b.next(b.operation.id, resp)
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

// pushEvents executes the subscription for a turn's events and sends the results. It reports whether to go on.
func (c *Conn) pushEvents(o *operation, events []Event) bool {
	out := outbox{buffer: takeBuffer(), operation: o}
	defer out.free()
	for len(events) > 0 {
		done, ok := c.execute(o, events, &out)
		if !ok {
			return false
		}
		events = events[done:]
	}
	return out.flush()
}

func (c *Conn) take(o *operation) (events []Event, err error) {
	ctx, cancel := withTimeout(c.viewer, c.transport.options.Timeout)
	defer cancel()
	if !o.template.safely(ctx, func() { events, err = o.source.Take(ctx, eventsPerTurn) }) {
		return nil, newError("INTERNAL", "internal system error")
	}
	return events, err
}

// execute executes the subscription once, for the first event and as many behind it as the resolver takes with it, and answers for how
// many. It reports whether to go on.
func (c *Conn) execute(o *operation, events []Event, out *outbox) (done int, ok bool) {
	ctx, cancel := withTimeout(graphql.StartOperationTrace(c.viewer), c.transport.options.Timeout)
	defer cancel()
	t := &turn{events: events}
	ctx = context.WithValue(context.WithValue(ctx, turnKey{}, t), eventKey{}, events[0])
	opCtx := o.operationContext()
	opCtx.Stats.OperationStart = graphql.GetStartTime(ctx)
	var handler graphql.ResponseHandler
	var handlerCtx context.Context
	for {
		resp, panicked := guard(ctx, c.exec, opCtx, func() *graphql.Response {
			if done == 0 {
				handler, handlerCtx = c.exec.DispatchOperation(ctx, opCtx)
				return handler(handlerCtx)
			}
			return handler(context.WithValue(handlerCtx, eventKey{}, events[done]))
		})
		if resp == nil && ctx.Err() != nil {
			// Going on would be a gap that the client cannot see. It has the cursor before this event.
			out.flush()
			c.shut(CloseTryAgain, "an event took too long: resume from the last cursor")
			return done, false
		}
		// A nil response: the resolver has nothing to say about this event.
		if resp != nil && !out.add(withCursor(resp, events[done].Cursor)) {
			return done, false
		}
		done++
		// Only as long as what is in the channel are the events that follow: an interceptor may have answered without looking into it.
		if resp == nil || panicked || done >= t.given || t.left() != t.given-done {
			return done, true
		}
	}
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

// operationContext builds what the executor wants for one execution. It is new each time: an operation context has a cache of its own, which
// holds what depends on variables.
func (o *operation) operationContext() *graphql.OperationContext {
	t := o.template
	return &graphql.OperationContext{
		RawQuery:               t.key.query,
		OperationName:          t.key.name,
		Variables:              o.variables,
		Extensions:             o.extensions,
		Doc:                    t.doc,
		Operation:              t.operation,
		DisableIntrospection:   t.key.disableIntrospection,
		RecoverFunc:            t.recover,
		ResolverMiddleware:     t.resolverMiddleware,
		RootResolverMiddleware: t.rootResolverMiddleware,
	}
}

// templateKey is what makes two subscriptions the same but for their variables and viewers.
type templateKey struct {
	exec                 graphql.GraphExecutor
	query                string
	name                 string
	disableIntrospection bool
}

// template is what parked subscriptions share.
type template struct {
	key                    templateKey
	doc                    *ast.QueryDocument
	operation              *ast.OperationDefinition
	recover                graphql.RecoverFunc
	resolverMiddleware     graphql.FieldMiddleware
	rootResolverMiddleware graphql.RootFieldMiddleware
	uses                   int // guarded by the mu of templates
}

// safely runs f, which is the application's, outside of an execution. It reports false where f panicked, after telling the recover function.
func (t *template) safely(ctx context.Context, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			recovered(ctx, &graphql.OperationContext{RecoverFunc: t.recover}, p)
		}
	}()
	f()
	return true
}

// templates holds one template for each document and operation that is parked anywhere. The zero value is empty.
type templates struct {
	mu    sync.Mutex
	byKey map[templateKey]*template
}

func (t *templates) acquire(exec graphql.GraphExecutor, opCtx *graphql.OperationContext) *template {
	key := templateKey{exec, opCtx.RawQuery, opCtx.OperationName, opCtx.DisableIntrospection}
	t.mu.Lock()
	defer t.mu.Unlock()
	shared := t.byKey[key]
	if shared == nil {
		shared = &template{
			key:                    key,
			doc:                    opCtx.Doc,
			operation:              opCtx.Operation,
			recover:                opCtx.RecoverFunc,
			resolverMiddleware:     opCtx.ResolverMiddleware,
			rootResolverMiddleware: opCtx.RootResolverMiddleware,
		}
		if t.byKey == nil {
			t.byKey = make(map[templateKey]*template)
		}
		t.byKey[key] = shared
	}
	shared.uses++
	return shared
}

func (t *templates) release(shared *template) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shared.uses--; shared.uses == 0 {
		delete(t.byKey, shared.key)
	}
}
