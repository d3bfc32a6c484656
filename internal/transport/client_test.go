package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/gobwas/ws"

	"clientele/internal/transport"
)

// patience bounds every wait of a test; nothing that works comes near it.
const patience = 20 * time.Second

// server is the fixture behind both transports.
type server struct {
	*fixture
	ws     *transport.WebSocket
	gql    *handler.Server
	url    string
	addr   string
	closes chan uint16 // codes of closed connections
}

func serve(tb testing.TB, options transport.WebSocketOptions) *server {
	tb.Helper()
	return serveHTTP(tb, options, transport.HTTP{})
}

func serveHTTP(tb testing.TB, options transport.WebSocketOptions, plain transport.HTTP) *server {
	tb.Helper()
	return serveFirst(tb, options, plain)
}

// serveFirst serves with transports that are asked before the plain one.
func serveFirst(tb testing.TB, options transport.WebSocketOptions, plain transport.HTTP, first ...graphql.Transport) *server {
	tb.Helper()
	s := &server{fixture: newFixture(tb), closes: make(chan uint16, 20_000)}
	closed := options.Hooks.Closed
	options.Hooks.Closed = func(code uint16) {
		if closed != nil {
			closed(code)
		}
		s.closes <- code
	}
	s.ws = transport.NewWebSocket(options)
	s.gql = handler.New(s.fixture)
	s.gql.SetRecoverFunc(func(context.Context, any) error { return errors.New("recovered") })
	s.gql.Use(extension.Introspection{})
	s.gql.AddTransport(s.ws)
	for _, t := range first {
		s.gql.AddTransport(t)
	}
	s.gql.AddTransport(plain)
	listener := httptest.NewServer(s.gql)
	s.url = listener.URL
	s.addr = strings.TrimPrefix(listener.URL, "http://")
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.ws.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
		listener.Close()
		opened, closed := s.stream.counts()
		if opened != closed {
			tb.Errorf("%d sources were opened, %d closed", opened, closed)
		}
		for _, what := range s.stream.misuse {
			tb.Errorf("source: %s", what)
		}
	})
	return s
}

// client speaks frames and has no goroutine, so that tests can count those of the server.
type client struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func (s *server) upgrade(tb testing.TB, header http.Header, conn net.Conn) (*client, *http.Response) {
	tb.Helper()
	if conn == nil {
		var err error
		if conn, err = net.Dial("tcp", s.addr); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() { _ = conn.Close() })
	mustSetDeadline(tb, conn)
	var request strings.Builder
	fmt.Fprintf(&request, "GET /graphql HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", s.addr)
	request.WriteString("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	for name, values := range header {
		for _, value := range values {
			fmt.Fprintf(&request, "%s: %s\r\n", name, value)
		}
	}
	request.WriteString("\r\n")
	if _, err := conn.Write([]byte(request.String())); err != nil {
		tb.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 512)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &client{tb: tb, conn: conn, in: in}, resp
}

func mustSetDeadline(tb testing.TB, conn net.Conn) {
	tb.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
}

var subprotocol = http.Header{"Sec-WebSocket-Protocol": {transport.Subprotocol}}

// dial opens a connection without connection_init.
func (s *server) dial(tb testing.TB) *client {
	tb.Helper()
	c, resp := s.upgrade(tb, subprotocol, nil)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("status %d", resp.StatusCode)
	}
	return c
}

// connect opens a connection and has it acknowledged.
func (s *server) connect(tb testing.TB) *client {
	tb.Helper()
	c := s.dial(tb)
	c.send(`{"type":"connection_init"}`)
	c.want(`{"type":"connection_ack"}`)
	return c
}

func (c *client) frame(op ws.OpCode, fin bool, payload string) {
	c.tb.Helper()
	frame := ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))
	c.raw(ws.MustCompileFrame(frame))
}

func (c *client) raw(bytes []byte) {
	c.tb.Helper()
	if _, err := c.conn.Write(bytes); err != nil {
		c.tb.Fatalf("write: %v", err)
	}
}

func (c *client) send(messages ...string) {
	c.tb.Helper()
	for _, message := range messages {
		c.frame(ws.OpText, true, message)
	}
}

func (c *client) subscribe(id, query string) {
	c.tb.Helper()
	payload, err := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": map[string]any{"query": query}})
	if err != nil {
		c.tb.Fatal(err)
	}
	c.send(string(payload))
}

// next returns the next frame.
func (c *client) next() (ws.OpCode, []byte, error) {
	mustSetDeadline(c.tb, c.conn)
	header, err := ws.ReadHeader(c.in)
	if err != nil {
		return 0, nil, err
	}
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(c.in, payload)
	return header.OpCode, payload, err
}

// read returns the next text message, and answers pings on the way.
func (c *client) read() string {
	c.tb.Helper()
	for {
		op, payload, err := c.next()
		if err != nil {
			c.tb.Fatalf("read: %v", err)
		}
		switch op {
		case ws.OpText:
			return string(payload)
		case ws.OpPing:
			c.frame(ws.OpPong, true, string(payload))
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			c.tb.Fatalf("closed with %d %s", code, reason)
		}
	}
}

// want reads messages and compares them, as JSON.
func (c *client) want(messages ...string) {
	c.tb.Helper()
	for _, message := range messages {
		wantJSON(c.tb, c.read(), message)
	}
}

// wantClose reads up to the close frame, answers it, and reads to the end. What came before it is returned.
func (c *client) wantClose(code uint16) (messages []string) {
	c.tb.Helper()
	for {
		op, payload, err := c.next()
		if err != nil {
			c.tb.Fatalf("no close frame but %v, after %q", err, messages)
		}
		switch op {
		case ws.OpText:
			messages = append(messages, string(payload))
		case ws.OpPing:
			c.frame(ws.OpPong, true, string(payload))
		case ws.OpClose:
			got, reason := ws.ParseCloseFrameData(payload)
			if uint16(got) != code {
				c.tb.Fatalf("closed with %d %q, want %d", got, reason, code)
			}
			c.frame(ws.OpClose, true, string(payload))
			if _, _, err := c.next(); err == nil {
				c.tb.Fatal("a frame after the close frame")
			}
			return messages
		}
	}
}

func wantJSON(tb testing.TB, got, want string) {
	tb.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		tb.Fatalf("not JSON: %s", got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		tb.Fatalf("not JSON: %s", want)
	}
	gotText, wantText := mustMarshal(tb, g), mustMarshal(tb, w)
	if gotText != wantText {
		tb.Fatalf("got  %s\nwant %s", gotText, wantText)
	}
}

func mustMarshal(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func wantCode(tb testing.TB, closes <-chan uint16, code uint16) {
	tb.Helper()
	select {
	case got := <-closes:
		if got != code {
			tb.Fatalf("hook Closed(%d), want %d", got, code)
		}
	case <-time.After(patience):
		tb.Fatal("hook Closed was not called")
	}
}

// eventually waits for what nothing announces: counts of the runtime and of the system.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
			runtime.Gosched()
		case <-end:
			tb.Fatalf("never: %s", what)
		}
	}
}

func openFiles(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Skip("needs /proc")
	}
	return len(entries)
}
