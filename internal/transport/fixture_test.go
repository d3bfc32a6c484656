package transport_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/internal/transport"
)

const fixtureSDL = `
type Query {
  "The viewer that connection_init named."
  viewer: String
  "The value of its argument, with the digits it was written with."
  echo(value: Int): Int
  "An answer of so many bytes."
  big(size: Int!): String!
  "Waits until its context ends."
  slow: String
  "Announces itself and waits for a token."
  gate: String
  fail: String
  boom: String
}
scalar Upload
input Files { list: [Upload], one: Upload }
type Mutation {
  bump: Int!
  "Names, types and texts of what was uploaded."
  upload(file: Upload, files: [Upload], input: Files): String!
}
type Subscription {
  "Parked on the fixture's stream."
  ticks(after: Int = 0, size: Int = 0): String!
  "An ordinary channel with 1 to the given number."
  count(to: Int!): Int!
  "An ordinary channel that gives nothing until its context ends."
  silent: Int!
  refused: Int!
  boom: Int!
  "Parks, and fails even so."
  both: Int!
  "Waits until its context ends before it opens."
  slow: Int!
}
`

// fixture is an executable schema made by hand, close to what gqlgen generates where the transport can see it.
type fixture struct {
	schema  *ast.Schema
	stream  *stream
	bumps   atomic.Int64
	entered chan struct{} // a gate was reached
	gate    chan struct{} // a token lets one through
	// onEvent, unless nil, runs in the resolver of ticks for each event.
	onEvent func(ctx context.Context, event transport.Event) error
	// source, unless nil, replaces the stream of ticks.
	source func(ctx context.Context) (transport.Source, error)
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "fixture.graphql", Input: fixtureSDL})
	if err != nil {
		tb.Fatal(err)
	}
	return &fixture{schema: schema, stream: newStream(), entered: make(chan struct{}, 1000), gate: make(chan struct{})}
}

func (f *fixture) Schema() *ast.Schema { return f.schema }

func (f *fixture) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (f *fixture) Exec(ctx context.Context) graphql.ResponseHandler {
	opCtx := graphql.GetOperationContext(ctx)
	if opCtx.Operation.Operation == ast.Subscription {
		next := f.subscribe(ctx, opCtx)
		return func(ctx context.Context) *graphql.Response {
			data := next(ctx)
			if data == nil {
				return nil
			}
			var buf bytes.Buffer
			data.MarshalGQL(&buf)
			return &graphql.Response{Data: buf.Bytes()}
		}
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		var out bytes.Buffer
		out.WriteByte('{')
		for i, field := range graphql.CollectFields(opCtx, opCtx.Operation.SelectionSet, []string{"Query", "Mutation"}) {
			if i > 0 {
				out.WriteByte(',')
			}
			graphql.MarshalString(field.Alias).MarshalGQL(&out)
			out.WriteByte(':')
			fieldCtx := graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: field})
			f.resolve(fieldCtx, field.Name, field.ArgumentMap(opCtx.Variables)).MarshalGQL(&out)
		}
		out.WriteByte('}')
		return &graphql.Response{Data: out.Bytes()}
	}
}

type viewerKey struct{}

func (f *fixture) resolve(ctx context.Context, name string, args map[string]any) (value graphql.Marshaler) {
	defer func() {
		if p := recover(); p != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, p))
			value = graphql.Null
		}
	}()
	switch name {
	case "__typename":
		return graphql.MarshalString("Query")
	case "__type":
		return graphql.Null
	case "viewer":
		if viewer, ok := ctx.Value(viewerKey{}).(string); ok {
			return graphql.MarshalString(viewer)
		}
		return graphql.Null
	case "echo":
		value, err := graphql.UnmarshalInt64(args["value"])
		if err != nil {
			graphql.AddError(ctx, err)
		}
		return graphql.MarshalInt64(value)
	case "big":
		size, err := graphql.UnmarshalInt(args["size"])
		if err != nil {
			graphql.AddError(ctx, err)
		}
		return graphql.MarshalString(strings.Repeat("x", size))
	case "slow":
		<-ctx.Done()
		graphql.AddError(ctx, ctx.Err())
	case "gate":
		f.entered <- struct{}{}
		select {
		case <-f.gate:
			return graphql.MarshalString("through")
		case <-ctx.Done():
			graphql.AddError(ctx, ctx.Err())
		}
	case "fail":
		graphql.AddError(ctx, &gqlerror.Error{Message: "failed", Extensions: map[string]any{"code": "STATE"}})
	case "boom":
		panic("boom")
	case "upload":
		return graphql.MarshalString(strings.Join(uploads(map[string]any{"1": args["file"], "2": args["files"], "3": args["input"]}), " "))
	case "bump":
		return graphql.MarshalInt64(f.bumps.Add(1))
	}
	return graphql.Null
}

func (f *fixture) subscribe(ctx context.Context, opCtx *graphql.OperationContext) func(context.Context) graphql.Marshaler {
	field := graphql.CollectFields(opCtx, opCtx.Operation.SelectionSet, []string{"Subscription"})[0]
	args := field.ArgumentMap(opCtx.Variables)
	if field.Name == "ticks" {
		return resolveStream(ctx, opCtx, field, graphql.MarshalString, func(ctx context.Context) (<-chan string, error) {
			return f.ticks(ctx, args)
		})
	}
	return resolveStream(ctx, opCtx, field, graphql.MarshalInt, func(ctx context.Context) (<-chan int, error) {
		return f.numbers(ctx, field.Name, args)
	})
}

func resolveStream[T any](
	ctx context.Context, opCtx *graphql.OperationContext, field graphql.CollectedField,
	marshal func(T) graphql.Marshaler, resolver func(context.Context) (<-chan T, error),
) func(context.Context) graphql.Marshaler {
	return graphql.ResolveFieldStream(ctx, opCtx, field,
		func(context.Context, graphql.CollectedField) (*graphql.FieldContext, error) {
			return &graphql.FieldContext{Object: "Subscription", Field: field, IsResolver: true}, nil
		},
		func(ctx context.Context) (any, error) { return resolver(ctx) }, nil,
		func(_ context.Context, _ ast.SelectionSet, v T) graphql.Marshaler { return marshal(v) }, true, true)
}

func (f *fixture) ticks(ctx context.Context, args map[string]any) (<-chan string, error) {
	event, pushing := transport.EventFromContext(ctx)
	if pushing && f.onEvent != nil {
		if err := f.onEvent(ctx, event); err != nil {
			return nil, err
		}
		// Not by Stream: a resolver of its own is called for each event.
		values := make(chan string, 1)
		defer close(values)
		value, ok := event.Value.(string)
		if !ok {
			return nil, errors.New("no tick")
		}
		values <- value
		return values, nil
	}
	if f.source != nil {
		return transport.Stream[string](ctx, f.source)
	}
	return transport.Stream[string](ctx, func(context.Context) (transport.Source, error) {
		after, err := graphql.UnmarshalInt(args["after"])
		if err != nil {
			return nil, err
		}
		size, err := graphql.UnmarshalInt(args["size"])
		if err != nil {
			return nil, err
		}
		return f.stream.open(after, size), nil
	})
}

func (f *fixture) numbers(ctx context.Context, name string, args map[string]any) (<-chan int, error) {
	numbers := make(chan int)
	switch name {
	case "count":
		to, err := graphql.UnmarshalInt(args["to"])
		if err != nil {
			return nil, err
		}
		go func() {
			defer close(numbers)
			for i := 1; i <= to; i++ {
				select {
				case numbers <- i:
				case <-ctx.Done():
					return
				}
			}
		}()
	case "silent":
		f.entered <- struct{}{}
		go func() {
			<-ctx.Done()
			close(numbers)
		}()
	case "refused":
		return nil, &gqlerror.Error{Message: "not you", Extensions: map[string]any{"code": "FORBIDDEN"}}
	case "boom":
		panic("boom")
	case "both":
		if err := transport.Park(ctx, f.stream.open(0, 0)); err != nil {
			return nil, err
		}
		return nil, errors.New("failed after all")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return numbers, nil
}

// stream is a log of numbered events.
type stream struct {
	same bool // everybody's results of an event are the same

	mu          sync.Mutex
	head        int
	end         error // what Take returns at the head
	attachments map[*position]struct{}
	opened      int
	closed      int
	lost        int
	misuse      []string
}

func newStream() *stream { return &stream{attachments: make(map[*position]struct{})} }

func (s *stream) open(after, size int) *position {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return &position{stream: s, at: after, size: size}
}

// push adds n events and wakes everybody.
func (s *stream) push(n int) { s.change(func() { s.head += n }) }

func (s *stream) finish(err error) { s.change(func() { s.end = err }) }

func (s *stream) change(f func()) {
	s.mu.Lock()
	f()
	wakes := make([]func(), 0, len(s.attachments))
	for p := range s.attachments {
		wakes = append(wakes, p.wake)
	}
	s.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
}

func (s *stream) counts() (opened, closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, s.closed
}

func (s *stream) attached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.attachments)
}

func (s *stream) report(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misuse = append(s.misuse, what)
}

// position is a Source that notices when the transport breaks the contract.
type position struct {
	stream *stream
	wake   func()
	at     int
	size   int
	inUse  atomic.Bool
	closed bool
}

func (p *position) use(what string) func() {
	if !p.inUse.CompareAndSwap(false, true) {
		p.stream.report("concurrent " + what)
	}
	if p.closed {
		p.stream.report(what + " after Close")
	}
	return func() { p.inUse.Store(false) }
}

func (p *position) Attach(wake func()) {
	defer p.use("Attach")()
	p.stream.mu.Lock()
	p.wake = wake
	p.stream.attachments[p] = struct{}{}
	p.stream.mu.Unlock()
	wake()
}

func (p *position) Take(_ context.Context, limit int) ([]transport.Event, error) {
	defer p.use("Take")()
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	var events []transport.Event
	for p.at < p.stream.head && len(events) < limit {
		p.at++
		cursor := strconv.Itoa(p.at)
		event := transport.Event{Value: cursor + strings.Repeat(".", p.size), Cursor: cursor}
		if p.stream.same {
			event.Same = p.at
		}
		events = append(events, event)
	}
	if p.at >= p.stream.head {
		return events, p.stream.end
	}
	return events, nil
}

func (p *position) Lost(silent time.Duration) {
	defer p.use("Lost")()
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	p.stream.lost++
	if silent < 0 || silent > patience {
		p.stream.misuse = append(p.stream.misuse, "silent for "+silent.String())
	}
}

func (p *position) Close() {
	defer p.use("Close")()
	p.closed = true
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	p.stream.closed++
	delete(p.stream.attachments, p)
}

var (
	_ graphql.ExecutableSchema = (*fixture)(nil)
	_ transport.Source         = (*position)(nil)
	_ transport.Loser          = (*position)(nil)
)
