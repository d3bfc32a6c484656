package transport_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"clientele/internal/transport"
)

// TestSharedResults pushes events that are the same for everybody to several connections.
func TestSharedResults(t *testing.T) {
	const subscribers, events = 10, 20
	subscribe := func(document, variables string) string {
		return fmt.Sprintf(`{"type":"subscribe","id":"a","payload":{"query":%q,"variables":%s}}`, document, variables)
	}
	plain := func(int) string { return subscribe("subscription{ticks}", "{}") }
	for name, c := range map[string]struct {
		same       bool
		subscribe  func(i int) string
		fail       func(executions int64) error
		atLeast    int64
		atMost     int64
		wantErrors bool
	}{
		"one executes for all": {same: true, subscribe: plain, atLeast: events, atMost: events},
		"variables of the root field do not matter": {
			same: true, atLeast: events, atMost: events,
			subscribe: func(i int) string {
				return subscribe("subscription($a:Int,$b:Boolean!){ticks(after:$a)@include(if:$b)}", []string{`{"a":0,"b":true}`, `{"a":null,"b":true}`, `{"b":true}`}[i%3])
			},
		},
		"other variables do": {
			same: true, atLeast: 2 * events, atMost: 2 * events,
			subscribe: func(i int) string {
				return subscribe("subscription($b:Boolean!){ticks ...@include(if:$b){ticks}}", []string{`{"b":true}`, `{"b":false}`}[i%2])
			},
		},
		"a variable in a fragment does": {
			same: true, atLeast: 2 * events, atMost: 2 * events,
			subscribe: func(i int) string {
				return subscribe("subscription($b:Boolean!){...F} fragment F on Subscription{ticks ...@skip(if:$b){ticks}}", []string{`{"b":true}`, `{"b":false}`}[i%2])
			},
		},
		"another document does": {
			same: true, atLeast: subscribers * events, atMost: subscribers * events,
			subscribe: func(i int) string { return subscribe("subscription{ticks}"+spaces(i), "{}") },
		},
		"extensions of the client's do": {
			same: true, atLeast: subscribers * events, atMost: subscribers * events,
			subscribe: func(int) string {
				return `{"type":"subscribe","id":"a","payload":{"query":"subscription{ticks}","extensions":{"x":1}}}`
			},
		},
		"events that are not the same": {subscribe: plain, atLeast: subscribers * events, atMost: subscribers * events},
		"errors are everybody's own": {
			same: true, subscribe: plain, atLeast: subscribers * events, atMost: subscribers * events, wantErrors: true,
			fail: func(int64) error { return errors.New("no") },
		},
		"who waited for a panic executes": {
			same: true, subscribe: plain, atLeast: events + 1, atMost: subscribers * events, wantErrors: true,
			fail: func(n int64) error {
				if n == 1 {
					panic("first")
				}
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var executions, pushed atomic.Int64
			s := serve(t, transport.WebSocketOptions{Hooks: transport.Hooks{EventPushed: func() { pushed.Add(1) }}})
			s.stream.same = c.same
			s.onEvent = func(context.Context, transport.Event) error {
				n := executions.Add(1)
				if c.fail != nil {
					return c.fail(n)
				}
				return nil
			}
			clients := make([]*client, subscribers)
			for i := range clients {
				clients[i] = s.connect(t)
				clients[i].send(c.subscribe(i))
			}
			eventually(t, "all are parked", func() bool { return s.stream.attached() == subscribers })
			s.stream.push(events)
			for _, client := range clients {
				for n := 1; n <= events; n++ {
					if c.wantErrors {
						client.read()
					} else {
						client.want(tick("a", n))
					}
				}
			}
			if n := executions.Load(); n < c.atLeast || n > c.atMost {
				t.Errorf("%d executions instead of %d to %d", n, c.atLeast, c.atMost)
			}
			eventually(t, "all are counted", func() bool { return pushed.Load() == subscribers*events })
		})
	}
}

// spaces makes another text of the same document.
func spaces(n int) string { return fmt.Sprintf("%*s", n, "") }
