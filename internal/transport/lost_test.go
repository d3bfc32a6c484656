package transport_test

import (
	"testing"
	"time"

	"github.com/gobwas/ws"

	"clientele/internal/transport"
)

// Ensure a source is told that its client was lost exactly where the client neither completed the
// subscription nor closed the connection, and always before it is closed.
func TestLost(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*server, *client)
		lost int
	}{
		"completed": {func(_ *server, c *client) {
			c.send(`{"type":"complete","id":"a"}`, `{"type":"ping"}`)
			c.want(`{"type":"pong"}`)
			c.frame(ws.OpClose, true, "\x03\xE8")
			c.wantClose(1000)
		}, 0},
		"closed":                {func(_ *server, c *client) { c.frame(ws.OpClose, true, "\x03\xE8"); c.wantClose(1000) }, 0},
		"closed without a code": {func(_ *server, c *client) { c.frame(ws.OpClose, true, "") }, 0},
		"cut":                   {func(_ *server, c *client) { _ = c.conn.Close() }, 1},
		"shut by the server":    {func(s *server, _ *client) { _ = s.ws.Close(t.Context()) }, 1},
		"a bad message":         {func(_ *server, c *client) { c.send(`{"type":"nonsense"}`); c.wantClose(4400) }, 1},
		"silent": {func(_ *server, c *client) { // answers no ping
			for {
				if op, _, err := c.next(); err != nil || op == ws.OpClose {
					return
				}
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			options := transport.WebSocketOptions{}
			if name == "silent" {
				options.PingInterval, options.PongTimeout = 50*time.Millisecond, 50*time.Millisecond
			}
			s := serve(t, options)
			s.stream.push(1)
			c := s.connect(t)
			c.subscribe("a", "subscription{ticks}")
			c.want(tick("a", 1))
			test.end(s, c)
			<-s.closes // the connection has ended, whoever ended it
			if err := s.ws.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.stream.mu.Lock()
			defer s.stream.mu.Unlock()
			if s.stream.lost != test.lost || s.stream.closed != 1 || len(s.stream.misuse) > 0 {
				t.Errorf("lost %d, closed %d, %v", s.stream.lost, s.stream.closed, s.stream.misuse)
			}
		})
	}
}
