package transport_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"clientele/internal/transport"
)

// TestStrangers holds connections before connection_ack to their limits: so many of a peer and of all are let in, one more is refused before its
// upgrade and told to come again, and each that is acknowledged, refused or lost makes room.
func TestStrangers(t *testing.T) {
	// status asks for an upgrade as a peer does.
	status := func(t *testing.T, s *server, peer string) (*client, int) {
		t.Helper()
		c, resp := s.upgrade(t, http.Header{"Sec-WebSocket-Protocol": {transport.Subprotocol}, "X-Peer": {peer}}, nil)
		if resp.StatusCode != http.StatusSwitchingProtocols && (resp.Header.Get("Retry-After") == "" || !resp.Close) {
			t.Fatalf("%d with Retry-After %q, closed: %t", resp.StatusCode, resp.Header.Get("Retry-After"), resp.Close)
		}
		return c, resp.StatusCode
	}
	wantStatus := func(t *testing.T, s *server, peer string, want int) *client {
		t.Helper()
		c, got := status(t, s, peer)
		if got != want {
			t.Fatalf("status %d, want %d", got, want)
		}
		return c
	}
	byHeader := func(r *http.Request) string { return r.Header.Get("X-Peer") }
	refused := make(chan transport.Refusal, 100)
	hooks := transport.Hooks{Refused: func(why transport.Refusal) { refused <- why }}
	wantRefused := func(t *testing.T, want transport.Refusal) {
		t.Helper()
		select {
		case got := <-refused:
			if got != want {
				t.Fatalf("refused for %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatal("the hook Refused was not called")
		}
	}
	const in = http.StatusSwitchingProtocols
	t.Run("of a peer", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{MaxStrangersPerPeer: 2, Peer: byHeader, Hooks: hooks})
		first := wantStatus(t, s, "a", in)
		second := wantStatus(t, s, "a", in)
		wantStatus(t, s, "a", http.StatusTooManyRequests)
		wantRefused(t, transport.RefusedPeer)
		wantStatus(t, s, "b", in)
		for range 3 {
			wantStatus(t, s, "", in)
		}
		if n := s.ws.Strangers(); n != 6 {
			t.Fatalf("%d strangers", n)
		}
		first.send(`{"type":"connection_init"}`)
		first.want(`{"type":"connection_ack"}`)
		wantStatus(t, s, "a", in)
		wantStatus(t, s, "a", http.StatusTooManyRequests)
		// One that ends without an acknowledgement makes room, too, and one that has it does not make room twice.
		second.send(`nonsense`)
		second.wantClose(4400)
		<-s.closes
		first.send(`nonsense`)
		first.wantClose(4400)
		<-s.closes
		eventually(t, "five are strangers", func() bool { return s.ws.Strangers() == 5 })
		wantStatus(t, s, "a", in)
		wantStatus(t, s, "a", http.StatusTooManyRequests)
	})
	t.Run("of all", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{MaxStrangers: 2, MaxStrangersPerPeer: 2, Peer: byHeader, Hooks: hooks})
		s.connect(t)
		first := wantStatus(t, s, "a", in)
		wantStatus(t, s, "b", in)
		for len(refused) > 0 {
			<-refused
		}
		wantStatus(t, s, "c", http.StatusServiceUnavailable)
		wantRefused(t, transport.RefusedStrangers)
		first.send(`{"type":"connection_init"}`)
		first.want(`{"type":"connection_ack"}`)
		wantStatus(t, s, "c", in)
		wantStatus(t, s, "c", http.StatusServiceUnavailable)
	})
	t.Run("while Init decides", func(t *testing.T) {
		decide := make(chan struct{})
		s := serve(t, transport.WebSocketOptions{MaxStrangers: 1, Init: func(context.Context, *transport.Conn, map[string]any, http.Header) (context.Context, time.Time, error) {
			<-decide
			return nil, time.Time{}, nil
		}})
		c := wantStatus(t, s, "", in)
		c.send(`{"type":"connection_init"}`, `{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
		wantStatus(t, s, "", http.StatusServiceUnavailable)
		close(decide)
		c.want(`{"type":"connection_ack"}`)
		wantStatus(t, s, "", in)
	})
	t.Run("by address", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{MaxStrangersPerPeer: 1})
		wantStatus(t, s, "a", in)
		wantStatus(t, s, "b", http.StatusTooManyRequests)
	})
	t.Run("no limit", func(t *testing.T) {
		s := serve(t, transport.WebSocketOptions{})
		for range 20 {
			wantStatus(t, s, "a", in)
		}
	})
}

// TestStrangersMessages holds what a client sends before connection_ack to a size of its own, whole or in fragments: memory is not for who
// has not said who they are.
func TestStrangersMessages(t *testing.T) {
	const most = 1000
	opening := func(size int) string {
		const message = `{"type":"connection_init"}`
		return message + strings.Repeat(" ", size-len(message))
	}
	s := serve(t, transport.WebSocketOptions{MaxInitMessage: most})
	c := s.dial(t)
	c.send(opening(most))
	c.want(`{"type":"connection_ack"}`)
	c.send(`{"type":"ping"}` + strings.Repeat(" ", 10*most))
	c.want(`{"type":"pong"}`)
	s.dial(t).wantCloseAfter(1009, opening(most+1))
	c = s.dial(t)
	c.frame(ws.OpText, false, opening(most))
	c.frame(ws.OpContinuation, true, " ")
	c.wantClose(1009)
	serve(t, transport.WebSocketOptions{}).dial(t).wantCloseAfter(1009, opening(transport.DefaultMaxInitMessage+1))
}

func (c *client) wantCloseAfter(code uint16, message string) {
	c.tb.Helper()
	c.send(message)
	c.wantClose(code)
}
