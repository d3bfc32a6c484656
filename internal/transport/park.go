package transport

import (
	"context"
	"fmt"
	"time"
)

// Event is one thing to push.
type Event struct {
	// Value is what the subscription's resolver returns for it.
	Value any
	// Cursor is what the client may resume from after this event; sent as extensions.cursor unless it is empty.
	Cursor string
	// Same is nil, or a comparable value that only events have whose results are the same, for everybody to whom they are pushed by the same
	// document: then one of them executes the subscription, and others who are pushed the event about then send what came of it. Of the
	// variables only those in the arguments of the root field may differ, so those must not matter for it, nor may who the viewer is. A
	// result with errors is not shared. Hooks and interceptors that count events see the executions alone; [Hooks.EventPushed] sees all.
	Same any
}

// Source is a parked subscription's position in its stream.
//
// The transport never calls two methods of one Source at once, and never calls one while it holds a lock.
type Source interface {
	// Attach gives the source the function it calls, from any goroutine and any number of times, whenever Take might return something.
	// wake never blocks, may be called from within Attach, and does nothing once the source is closed. Take is called once after Attach
	// without a wake, so that what was there already is found. Attach is called once.
	Attach(wake func())
	// Take returns at most so many events that follow the position, and moves it.
	//
	// Fewer events than most and no error: no more now, wait for wake. io.EOF: the stream ended; `complete` is sent. A *[CloseError]: the whole
	// connection is closed with its code and reason. Another error ends the subscription with an `error` message, made of it by the
	// executor's error presenter. Events returned together with an error are sent before it takes effect.
	//
	// ctx has the connection's values, and ends with the connection or after the time for one operation.
	Take(ctx context.Context, most int) ([]Event, error)
	// Close releases the source. It is called once, also when Attach was never called.
	Close()
}

// Loser is a [Source] that wants to know that its client was lost: the connection ended and the client had neither completed the
// subscription nor closed the connection.
type Loser interface {
	// Lost is called before Close. silent is how long ago the client was last heard.
	Lost(silent time.Duration)
}

type (
	parkKey  struct{}
	eventKey struct{}
	turnKey  struct{}
)

// turnContext is the context of an execution for an event.
type turnContext struct {
	context.Context
	turn  *turn
	event *Event
}

// Value implements context.Context.
func (c *turnContext) Value(key any) any {
	switch key.(type) {
	case eventKey:
		return c.event
	case turnKey:
		return c.turn
	}
	return c.Context.Value(key)
}

// turn is what [Stream] and the transport tell one another about the events of one execution.
type turn struct {
	events []Event
	// given is how many of them, the first ones, the resolver's channel was given; left is how many are still in it.
	given int
	left  func() int
}

// parker is what a transport that keeps subscriptions puts into the context of a subscription's opening.
type parker interface {
	park(src Source) error
}

// Park hands src to the transport, which from then on executes the subscription anew for each event of src. In between it keeps src and the
// one operation context for all that sent the same text and the same variables, but for those of the root field; no goroutine. So an extension that
// rewrites a subscription's document must do it by the text alone.
//
// A resolver calls it once it has checked all there is to check, and then returns a closed channel; [Stream] does both. For each event the
// same resolver is called with a context from which [EventFromContext] has the event, and returns a channel with that one value; where it
// is [Stream]'s, one call serves the events that are pushed together. An operation interceptor runs for the opening and for each call, and
// can tell them apart in the same way; a response interceptor runs for each event, which [EventFromContext] gives it. The arguments of the
// root field were for the opening: at an event they may be those of another subscription of the same document.
//
// ctx ends when the opening is over: src must not keep it. Where Park returns an error (a transport that cannot park, [ErrCannotPark], or
// a second call) src is the caller's to close; otherwise the transport closes it, also when the opening fails after all.
func Park(ctx context.Context, src Source) error {
	p, ok := ctx.Value(parkKey{}).(parker)
	if !ok {
		return ErrCannotPark
	}
	return p.park(src)
}

// EventFromContext returns the event that is being pushed. ok is false at the opening of a subscription and everywhere else.
func EventFromContext(ctx context.Context) (event Event, ok bool) {
	if e, ok := ctx.Value(eventKey{}).(*Event); ok {
		return *e, true
	}
	return Event{}, false
}

// Stream is the body of a resolver whose subscription is parked. While events are pushed it returns a channel with their values, which
// must each be a T; at the opening it calls open, parks what that returns, and returns a closed channel.
func Stream[T any](ctx context.Context, open func(context.Context) (Source, error)) (<-chan T, error) {
	if event, ok := EventFromContext(ctx); ok {
		return streamTurn[T](ctx, event)
	}
	values := make(chan T)
	defer close(values)
	if _, ok := ctx.Value(parkKey{}).(parker); !ok {
		return nil, ErrCannotPark
	}
	source, err := open(ctx)
	if err != nil {
		return nil, err
	}
	if err := Park(ctx, source); err != nil {
		source.Close()
		return nil, err
	}
	return values, nil
}

// streamTurn gives the values of the events that are pushed together, up to one that is no T: that is the next call's error.
func streamTurn[T any](ctx context.Context, event Event) (<-chan T, error) {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		t = &turn{events: []Event{event}}
	}
	values := make(chan T, len(t.events))
	defer close(values)
	for i := range t.events {
		value, ok := t.events[i].Value.(T)
		if !ok && i == 0 {
			return nil, fmt.Errorf("an event of this subscription must be a %T, not a %T", value, event.Value)
		}
		if !ok {
			break
		}
		values <- value
		t.given++
	}
	t.left = func() int { return len(values) }
	return values, nil
}
