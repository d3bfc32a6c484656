package tests

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/internal/transport"
	"clientele/limits"
)

// upgrade asks for a WebSocket as a proxy does for a client at an address, and says nothing over it.
func (w *world) upgrade(from string) (net.Conn, *http.Response) {
	w.tb.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: %s\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n", from); err != nil {
		w.tb.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	return conn, resp
}

// Ensure who opens WebSockets and says nothing has a bounded number of them, an address and all together, that nobody else is refused for
// what one address does, that who is acknowledged counts no more, and that operators see it (rule X2).
func TestStrangers(t *testing.T) {
	const all = limits.StrangersPerAddress + 100 // files of this process are dear
	w := start(t, testkit.SQLite(t), options{
		settings: func(s *config.Server) { s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
		sockets: func(o *transport.WebSocketOptions) {
			if o.MaxStrangers != limits.Strangers {
				t.Errorf("a node lets %d strangers in, not %d", o.MaxStrangers, limits.Strangers)
			}
			o.MaxStrangers, o.InitTimeout = all, 10*patience
		},
	})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	const in = http.StatusSwitchingProtocols
	want := func(from string, status int) {
		t.Helper()
		_, resp := w.upgrade(from)
		if resp.StatusCode != status || status != in && resp.Header.Get("Retry-After") == "" {
			t.Fatalf("from %s: %d with Retry-After %q, want %d", from, resp.StatusCode, resp.Header.Get("Retry-After"), status)
		}
	}
	first, _ := w.upgrade("203.0.113.7")
	for range limits.StrangersPerAddress - 1 {
		want("203.0.113.7", in)
	}
	want("203.0.113.7", http.StatusTooManyRequests)
	want("203.0.113.8", in)
	if f := w.dial(w.bearer("anna", a.account)).frame(); f.Type != "connection_ack" {
		t.Fatalf("another's connection_init is answered by %s %d", f.Type, f.closed)
	}
	_ = first.Close()
	w.await("the gauge falls", func() bool { return w.metric("clientele_websockets_strangers") == limits.StrangersPerAddress })
	want("203.0.113.7", in)
	want("203.0.113.7", http.StatusTooManyRequests)
	for open := limits.StrangersPerAddress + 1; open < all; open++ {
		want(fmt.Sprintf("2001:db8:%x::%x", open%7, open), in)
	}
	want("198.51.100.1", http.StatusServiceUnavailable)
	for name, n := range map[string]float64{
		"clientele_websockets_strangers": all, `clientele_websockets_refused_total{why="peer"}`: 2, `clientele_websockets_refused_total{why="strangers"}`: 1,
	} {
		if got := w.metric(name); got != n {
			t.Errorf("%s is %v, want %v", name, got, n)
		}
	}
}
