// Package reconnect measures how long it takes until everybody who lost their connection has it back
// and has caught up.
package reconnect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"clientele/bench/rig"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags
	rig.Shape

	Clients     int           `default:"10000" help:"Clients, spread evenly over the advisors."`
	Behind      int           `default:"10" help:"Events that each has missed."`
	Connections int           `default:"64" help:"Keep-alive connections of the platform, which posts what they miss."`
	Within      time.Duration `default:"2m" help:"Time after which the run has failed."`
}

// Run measures and answers the line of figures. All clients are connected and receive an event,
// whose cursor they keep; they all drop their connections; each advisor's stream gets the events
// they miss; they all connect again in the same instant, with their cursors. The time ends when the
// last of them has received, in order and without a hole, what it missed.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	r, err := rig.New(ctx, o.Flags, o.Shape)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l := rig.NewLine("reconnect")
	took, size, err := product(ctx, r, o, l)
	if err != nil {
		return nil, err
	}
	if err := r.StopServer(); err != nil {
		return nil, err
	}
	bare, err := floor(ctx, r, o, size)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	l.Add("floor_s", bare.Seconds()).Add("ratio", took.Seconds()/bare.Seconds())
	l.Add("clients", o.Clients).Add("behind", o.Behind).Add("advisors", o.Advisors)
	return l, r.AddMachine(ctx, l)
}

// client is what one keeps between its connections.
type client struct {
	cursor   string
	sequence int64
}

// errUnavailable is the product's word for "come back": a client does.
var errUnavailable = errors.New("UNAVAILABLE")

// profiled is the time of the storm that a profile shows.
const profiled = 10 * time.Second

// retryAfter is how long a client waits at least before it subscribes again; twice that at most.
const retryAfter = 250 * time.Millisecond

// catchUp subscribes from the client's cursor and returns once n events have come, one after the
// other.
func (c *client) catchUp(ctx context.Context, s *rig.Socket, n int) error {
	if err := s.Subscribe(rig.Document, map[string]any{"after": c.cursor}); err != nil {
		return err
	}
	return receive(ctx, s, n, func(text []byte) error {
		if !rig.IsNext(text) {
			if bytes.Contains(text, []byte(`"code":"UNAVAILABLE"`)) {
				return errUnavailable
			}
			return fmt.Errorf("received %s", text)
		}
		if sequence := rig.Sequence(text); sequence != c.sequence+1 {
			return fmt.Errorf("event %d after %d", sequence, c.sequence)
		}
		c.sequence++
		return nil
	})
}

func product(ctx context.Context, r *rig.Rig, o Options, l *rig.Line) (took time.Duration, size int, err error) {
	if err := r.StartServer(ctx, nil); err != nil {
		return 0, 0, err
	}
	p := r.NewPlatform(o.Connections)
	defer func() { err = errors.Join(err, p.Close()) }()
	all, size, err := meet(ctx, r, o, p)
	if err != nil {
		return 0, 0, err
	}
	r.Tell("%d events for each advisor while nobody is there", o.Behind)
	if err := p.Rounds(ctx, o.Behind); err != nil {
		return 0, 0, err
	}
	tokens, err := r.AdvisorTokens(o.Clients)
	if err != nil {
		return 0, 0, err
	}
	r.Tell("%d clients come back", o.Clients)
	stop := r.StartProfile(ctx, "reconnect", profiled)
	usage := r.StartUsage()
	var again atomic.Int64
	first, half, last, err := storm(ctx, o, func(ctx context.Context, i int) (*rig.Socket, error) {
		s, err := rig.Dial(ctx, r.Server.Addr, rig.Source(i), tokens[i%len(tokens)])
		if err != nil {
			return nil, err
		}
		for {
			err := all[i].catchUp(ctx, s, o.Behind)
			if !errors.Is(err, errUnavailable) {
				return s, err
			}
			again.Add(1)
			if err := rig.Sleep(ctx, retryAfter+rand.N(retryAfter)); err != nil {
				return s, err
			}
		}
	})
	if err != nil {
		return 0, 0, err
	}
	l.Add("all_s", last.Seconds()).Add("first_s", first.Seconds()).Add("half_s", half.Seconds()).Add("again", again.Load())
	return last, size, errors.Join(usage.Stop(l, "all"), stop())
}

// meet connects all clients, gives each an event, and drops them.
func meet(ctx context.Context, r *rig.Rig, o Options, p *rig.Platform) (all []client, size int, err error) {
	r.Tell("connecting %d clients", o.Clients)
	all = make([]client, o.Clients)
	var bytes atomic.Int64
	apps, err := r.OpenSubscribers(ctx, o.Clients, 0, func(i int, text []byte, _ time.Time) {
		bytes.Store(int64(len(text)))
		all[i] = client{cursor: rig.Cursor(text), sequence: rig.Sequence(text)}
	})
	if err != nil {
		return nil, 0, err
	}
	err = p.Rounds(ctx, 1)
	if err == nil {
		err = apps.Await(ctx, int64(o.Clients))
	}
	if err = errors.Join(err, apps.Close()); err != nil {
		return nil, 0, err
	}
	return all, int(bytes.Load()), rig.Await(ctx, "the product to miss its clients", func() (bool, error) {
		m, err := r.Metrics(ctx)
		return m["clientele_websockets"] == 0, err
	})
}

// storm has all clients come back in the same instant; come returns when one has caught up. It
// answers when the first, half of them and the last had.
func storm(ctx context.Context, o Options, come func(context.Context, int) (*rig.Socket, error)) (first, half, last time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	at, errs := make([]int64, o.Clients), make([]error, o.Clients)
	sockets := make([]*rig.Socket, o.Clients)
	var ready, wg sync.WaitGroup
	gun := make(chan struct{})
	var began time.Time
	ready.Add(o.Clients)
	for i := range o.Clients {
		wg.Go(func() {
			ready.Done()
			<-gun
			var err error
			if sockets[i], err = come(ctx, i); err != nil {
				errs[i] = fmt.Errorf("client %d: %w", i, err)
			}
			at[i] = time.Since(began).Nanoseconds()
		})
	}
	ready.Wait()
	began = time.Now()
	close(gun)
	wg.Wait()
	for i, s := range sockets {
		if s != nil {
			errs[i] = errors.Join(errs[i], s.Close())
		}
	}
	if err := rig.Summary(ctx, errs); err != nil {
		return 0, 0, 0, err
	}
	q := rig.Quantiles(at, 0, 0.5, 1)
	return q[0], q[1], q[2], nil
}

func receive(ctx context.Context, s *rig.Socket, n int, next func([]byte) error) error {
	if until, ok := ctx.Deadline(); ok {
		if err := s.SetDeadline(until); err != nil {
			return err
		}
	}
	for range n {
		text, err := s.Next()
		if err != nil {
			return err
		}
		if err := next(text); err != nil {
			return err
		}
	}
	return nil
}

// floor is the same storm on a bare server, which sends each client as many frames of the size of
// an event as soon as it is there.
func floor(ctx context.Context, r *rig.Rig, o Options, size int) (took time.Duration, err error) {
	bare, err := rig.StartBare(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	r.Tell("floor: %d bare connections", o.Clients)
	_, _, took, err = storm(ctx, o, func(ctx context.Context, i int) (*rig.Socket, error) {
		s, err := rig.GreetBare(ctx, bare.Addr, rig.Source(i), o.Behind, size)
		if err != nil {
			return s, err
		}
		return s, receive(ctx, s, o.Behind, func([]byte) error { return nil })
	})
	return took, err
}
