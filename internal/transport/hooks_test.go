package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"clientele/internal/transport"
)

// told is what hooks were called with, in order.
type told chan string

func (c told) hooks() transport.Hooks {
	say := func(format string, args ...any) { c <- fmt.Sprintf(format, args...) }
	return transport.Hooks{
		StreamOpened:     func(isShared bool) { say("opened %t", isShared) },
		StreamClosed:     func(isShared bool, code uint16) { say("closed %t %d", isShared, code) },
		Reserved:         func() { say("reserved") },
		ReservationEnded: func() { say("reservation ended") },
	}
}

// expect takes what the hooks were called with next.
func (c told) expect(tb testing.TB, want ...string) {
	tb.Helper()
	for _, w := range want {
		select {
		case got := <-c:
			if got != w {
				tb.Errorf("the hooks say %q, want %q", got, w)
			}
		case <-time.After(patience):
			tb.Fatalf("the hooks say nothing, want %q", w)
		}
	}
	select {
	case more := <-c:
		tb.Errorf("the hooks also say %q", more)
	default:
	}
}

// TestStreamHooks has streams of one operation and of many begin and end in each way, and reservations with them.
func TestStreamHooks(t *testing.T) {
	const silent = "subscription{ticks}"
	serve := func(tb testing.TB, options transport.EventsOptions) (*streams, told) {
		tb.Helper()
		calls := make(told, 100)
		options.Hooks = calls.hooks()
		return serveReserved(tb, options), calls
	}
	t.Run("it completes", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{})
		for _, document := range []string{"subscription{count(to:1)}", "{viewer}", "{nothing}"} {
			for c := s.open(t, ask(document), "", nil); c.next().name != ""; {
			}
			calls.expect(t, "opened false", "closed false 1000")
		}
	})
	t.Run("the client leaves", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{})
		c := s.open(t, ask(silent), "", nil)
		calls.expect(t, "opened false")
		c.cancel()
		calls.expect(t, "closed false 1005")
	})
	t.Run("it expires", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{Begin: func(ctx context.Context) (context.Context, time.Time) {
			return ctx, time.Now().Add(20 * time.Millisecond)
		}})
		s.open(t, ask(silent), "", nil)
		calls.expect(t, "opened false", "closed false 4403")
	})
	t.Run("the server stops", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{})
		s.open(t, ask(silent), "", nil)
		calls.expect(t, "opened false")
		s.reserve(t, "anna")
		calls.expect(t, "reserved")
		if err := s.events.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		calls.expect(t, "reservation ended", "closed false 1012")
	})
	t.Run("it is refused", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{})
		if c := s.open(t, "", "mutation{bump}", nil); c.resp.StatusCode == http.StatusOK {
			t.Error("a mutation by GET was answered by a stream")
		}
		s.open(t, "{}", "", nil)
		calls.expect(t)
	})
	t.Run("of many operations", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{})
		c, _ := s.reserved(t)
		calls.expect(t, "reserved", "opened true")
		c.cancel()
		calls.expect(t, "closed true 1005", "reservation ended")
	})
	t.Run("nobody opens it", func(t *testing.T) {
		s, calls := serve(t, transport.EventsOptions{Reservations: transport.ReservationOptions{Time: time.Millisecond}})
		s.reserve(t, "anna")
		calls.expect(t, "reserved", "reservation ended")
	})
}
