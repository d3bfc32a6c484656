package transport_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"clientele/internal/transport"
)

// faulty is a Source that breaks in one method.
type faulty struct {
	where  string
	taken  chan struct{} // Take was called
	closed chan struct{}
}

func newFaulty(where string) *faulty {
	return &faulty{where: where, taken: make(chan struct{}, 100), closed: make(chan struct{})}
}

func (f *faulty) fail(where string) {
	if f.where == where {
		panic(where)
	}
}

func (f *faulty) Attach(func()) { f.fail("Attach") }

func (f *faulty) Take(context.Context, int) ([]transport.Event, error) {
	f.taken <- struct{}{}
	f.fail("Take")
	switch f.where {
	case "value":
		return []transport.Event{{Value: 1}}, nil
	case "plain":
		return nil, errors.New("plain")
	case "code":
		return nil, &transport.CloseError{Code: 1006}
	}
	return nil, nil
}

func (f *faulty) Close() {
	close(f.closed)
	f.fail("Close")
}

// TestFaultySources checks that what breaks in a source ends its subscription, or connection where it asks for it, and nothing else.
func TestFaultySources(t *testing.T) {
	internal := `{"id":"a","type":"error","payload":[{"message":"internal system error","extensions":{"code":"INTERNAL"}}]}`
	for where, want := range map[string]string{
		"Attach": internal,
		"Take":   internal,
		"Close":  "",
		"plain":  `{"id":"a","type":"error","payload":[{"message":"plain"}]}`,
		"value": `{"id":"a","type":"next","payload":{"errors":[{"message":"an event of this subscription must be a string, not a int",` +
			`"path":["ticks"],"locations":[{"line":1,"column":14}]}],"data":null}}`,
		"code":  "",
		"twice": "",
		"open":  `{"id":"a","type":"error","payload":[{"message":"not opened","path":["ticks"],"locations":[{"line":1,"column":14}]}]}`,
	} {
		t.Run(where, func(t *testing.T) {
			s := serve(t, transport.WebSocketOptions{})
			source := newFaulty(where)
			s.source = func(ctx context.Context) (transport.Source, error) {
				switch where {
				case "open":
					close(source.closed)
					return nil, errors.New("not opened")
				case "twice":
					other := newFaulty("")
					if err := transport.Park(ctx, other); err != nil {
						t.Error(err)
					}
				}
				return source, nil
			}
			c := s.connect(t)
			c.subscribe("a", "subscription{ticks}")
			switch where {
			case "code":
				c.wantClose(1011)
			case "twice":
				if got := c.read(); !strings.Contains(got, transport.ErrCannotPark.Error()) {
					t.Fatalf("got %s", got)
				}
			case "Close":
				<-source.taken
			default:
				c.want(want)
			}
			if where == "Close" || where == "value" {
				c.send(`{"type":"complete","id":"a"}`)
			}
			<-source.closed
			if where != "code" {
				c.send(`{"type":"ping"}`)
				c.want(`{"type":"pong"}`)
			}
		})
	}
}

// TestEventWithoutResponse passes over an event that an interceptor keeps back.
func TestEventWithoutResponse(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	s.gql.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
		if event, ok := transport.EventFromContext(ctx); ok && event.Cursor == "1" {
			return func(context.Context) *graphql.Response { return nil }
		}
		return next(ctx)
	})
	s.stream.push(2)
	c := s.connect(t)
	c.subscribe("a", "subscription{ticks}")
	c.want(tick("a", 2))
}

// TestEarlyMessage sends a message together with the handshake.
func TestEarlyMessage(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	mustSetDeadline(t, conn)
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"connection_init"}`))))
	request := "GET / HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
	if _, err := conn.Write(append([]byte(request), frame...)); err != nil {
		t.Fatal(err)
	}
	c := &client{tb: t, conn: conn, in: bufio.NewReader(conn)}
	if _, err := http.ReadResponse(c.in, nil); err != nil {
		t.Fatal(err)
	}
	c.want(`{"type":"connection_ack"}`)
}

// TestOtherClient speaks with a WebSocket client that is not of this package's making, over TLS.
func TestOtherClient(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	tls := httptest.NewTLSServer(s.gql)
	defer tls.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dial := func() *websocket.Conn {
		c, resp, err := websocket.Dial(ctx, tls.URL, &websocket.DialOptions{
			HTTPClient: tls.Client(), Subprotocols: []string{transport.Subprotocol},
			HTTPHeader: http.Header{"Origin": {tls.URL}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		return c
	}
	exchange := func(c *websocket.Conn, send string, want ...string) {
		if err := c.Write(ctx, websocket.MessageText, []byte(send)); err != nil {
			t.Fatal(err)
		}
		for _, message := range want {
			_, got, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			wantJSON(t, string(got), message)
		}
	}
	c := dial()
	exchange(c, `{"type":"connection_init"}`, `{"type":"connection_ack"}`)
	s.stream.push(2)
	exchange(c, `{"type":"subscribe","id":"a","payload":{"query":"subscription{ticks}"}}`, tick("a", 1), tick("a", 2))
	if err := c.Ping(c.CloseRead(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.closes, 1000)

	c = dial()
	exchange(c, `{"type":"connection_init"}`, `{"type":"connection_ack"}`)
	exchange(c, `nonsense`)
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 4400 {
		t.Fatalf("got %v", err)
	}
	wantCode(t, s.closes, 4400)
}

// TestBusySocketIsNotPinged sends more than a slow client can take between two pings: the writes prove that it is alive.
func TestBusySocketIsNotPinged(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{PingInterval: time.Millisecond, PongTimeout: time.Second})
	c := s.connect(t)
	c.subscribe("a", "subscription{count(to:20000)}")
	for {
		if c.read() == `{"id":"a","type":"complete"}` {
			break
		}
	}
}
