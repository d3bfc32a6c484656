package transport_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"clientele/internal/transport"
)

// TestRules has each rule of graphql-transport-ws that ends a connection: what is sent, and the code that follows.
func TestRules(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		fresh bool // without connection_init
		send  []string
		code  uint16
	}{
		"not JSON":                  {send: []string{`nonsense`}, code: 4400},
		"array":                     {send: []string{`[]`}, code: 4400},
		"null":                      {send: []string{`null`}, code: 4400},
		"string":                    {send: []string{`"ping"`}, code: 4400},
		"empty":                     {send: []string{``}, code: 4400},
		"no type":                   {send: []string{`{}`}, code: 4400},
		"unknown type":              {send: []string{`{"type":"start","id":"1"}`}, code: 4400},
		"type in capitals":          {send: []string{`{"Type":"ping"}`}, code: 4400},
		"type is a number":          {send: []string{`{"type":1}`}, code: 4400},
		"server's message":          {send: []string{`{"type":"next","id":"1","payload":{}}`}, code: 4400},
		"not JSON before ack":       {fresh: true, send: []string{`nonsense`}, code: 4400},
		"unknown before ack":        {fresh: true, send: []string{`{"type":"x"}`}, code: 4400},
		"ping payload":              {send: []string{`{"type":"ping","payload":1}`}, code: 4400},
		"pong payload":              {send: []string{`{"type":"pong","payload":[]}`}, code: 4400},
		"subscribe without id":      {send: []string{`{"type":"subscribe","payload":{"query":"{viewer}"}}`}, code: 4400},
		"subscribe with empty id":   {send: []string{`{"type":"subscribe","id":"","payload":{"query":"{viewer}"}}`}, code: 4400},
		"subscribe with number id":  {send: []string{`{"type":"subscribe","id":1,"payload":{"query":"{viewer}"}}`}, code: 4400},
		"subscribe with long id":    {send: []string{`{"type":"subscribe","id":"` + long + `","payload":{"query":"{viewer}"}}`}, code: 4400},
		"subscribe without payload": {send: []string{`{"type":"subscribe","id":"1"}`}, code: 4400},
		"subscribe null payload":    {send: []string{`{"type":"subscribe","id":"1","payload":null}`}, code: 4400},
		"subscribe array payload":   {send: []string{`{"type":"subscribe","id":"1","payload":[]}`}, code: 4400},
		"subscribe without query":   {send: []string{`{"type":"subscribe","id":"1","payload":{}}`}, code: 4400},
		"subscribe empty query":     {send: []string{`{"type":"subscribe","id":"1","payload":{"query":""}}`}, code: 4400},
		"subscribe number query":    {send: []string{`{"type":"subscribe","id":"1","payload":{"query":1}}`}, code: 4400},
		"subscribe list variables":  {send: []string{`{"type":"subscribe","id":"1","payload":{"query":"{viewer}","variables":[]}}`}, code: 4400},
		"subscribe text variables":  {send: []string{`{"type":"subscribe","id":"1","payload":{"query":"{viewer}","variables":"{}"}}`}, code: 4400},
		"subscribe number name":     {send: []string{`{"type":"subscribe","id":"1","payload":{"query":"{viewer}","operationName":1}}`}, code: 4400},
		"subscribe text extensions": {send: []string{`{"type":"subscribe","id":"1","payload":{"query":"{viewer}","extensions":""}}`}, code: 4400},
		"complete without id":       {send: []string{`{"type":"complete"}`}, code: 4400},
		"init payload text":         {fresh: true, send: []string{`{"type":"connection_init","payload":"x"}`}, code: 4400},
		"init payload list":         {fresh: true, send: []string{`{"type":"connection_init","payload":[]}`}, code: 4400},
		"subscribe before ack":      {fresh: true, send: []string{`{"type":"subscribe","id":"1","payload":{"query":"{viewer}"}}`}, code: 4401},
		"second init":               {send: []string{`{"type":"connection_init"}`}, code: 4429},
		"duplicate id": {send: []string{
			`{"type":"subscribe","id":"1","payload":{"query":"subscription{silent}"}}`,
			`{"type":"subscribe","id":"\u0031","payload":{"query":"{viewer}"}}`,
		}, code: 4409},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, transport.WebSocketOptions{})
			c := s.dial(t)
			if !test.fresh {
				c.send(`{"type":"connection_init","payload":{}}`)
				c.want(`{"type":"connection_ack"}`)
			}
			c.send(test.send...)
			if messages := c.wantClose(test.code); len(messages) > 0 {
				t.Fatalf("messages before the close: %q", messages)
			}
			wantCode(t, s.closes, test.code)
		})
	}
}

// TestFrames has the rules of RFC 6455.
func TestFrames(t *testing.T) {
	masked := func(op ws.OpCode, fin bool, payload string) []byte {
		return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload))))
	}
	for name, test := range map[string]struct {
		raw  []byte
		code uint16
	}{
		"not masked":              {raw: ws.MustCompileFrame(ws.NewTextFrame([]byte(`{"type":"ping"}`))), code: 1002},
		"reserved bit":            {raw: append([]byte{0xC1}, masked(ws.OpText, true, "{}")[1:]...), code: 1002},
		"reserved opcode":         {raw: masked(3, true, "{}"), code: 1002},
		"continuation of nothing": {raw: masked(ws.OpContinuation, true, "{}"), code: 1002},
		"text within fragments":   {raw: append(masked(ws.OpText, false, "{"), masked(ws.OpText, true, "}")...), code: 1002},
		"ping in fragments":       {raw: masked(ws.OpPing, false, ""), code: 1002},
		"ping too long":           {raw: masked(ws.OpPing, true, strings.Repeat("x", 126)), code: 1002},
		"length with high bit":    {raw: []byte{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, code: 1002},
		"close of one byte":       {raw: masked(ws.OpClose, true, "x"), code: 1002},
		"close 1005":              {raw: masked(ws.OpClose, true, "\x03\xED"), code: 1002},
		"binary":                  {raw: masked(ws.OpBinary, true, `{"type":"ping"}`), code: 4400},
		"not utf-8":               {raw: masked(ws.OpText, true, "{\"type\":\"ping\",\"x\":\"\xff\"}"), code: 1007},
		"too big":                 {raw: []byte{0x81, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0}, code: 1009},
		"too big in fragments": {raw: append(masked(ws.OpText, false, strings.Repeat(" ", 1<<19)),
			masked(ws.OpContinuation, false, strings.Repeat(" ", 1<<19+1))...), code: 1009},
		"close with code":    {raw: masked(ws.OpClose, true, "\x03\xE8bye"), code: 1000},
		"close with 1012":    {raw: masked(ws.OpClose, true, "\x03\xF4"), code: 1012},
		"close with no code": {raw: masked(ws.OpClose, true, ""), code: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, transport.WebSocketOptions{})
			c := s.connect(t)
			c.raw(test.raw)
			c.wantClose(test.code)
			if test.code == 0 {
				test.code = transport.CloseNoStatus
			}
			wantCode(t, s.closes, test.code)
		})
	}

	t.Run("fragments with a ping between", func(t *testing.T) {
		t.Parallel()
		c := serve(t, transport.WebSocketOptions{}).connect(t)
		c.frame(ws.OpText, false, `{"type":"pi`)
		c.frame(ws.OpPing, true, "are you there")
		c.frame(ws.OpContinuation, false, `ng"`)
		c.frame(ws.OpContinuation, true, `,"payload":{"a":"`+strings.Repeat("é", 1000)+`"}}`)
		op, payload, err := c.next()
		if err != nil || op != ws.OpPong || string(payload) != "are you there" {
			t.Fatalf("got %x %q %v", op, payload, err)
		}
		c.want(`{"type":"pong","payload":{"a":"` + strings.Repeat("é", 1000) + `"}}`)
	})

	t.Run("large messages both ways", func(t *testing.T) {
		t.Parallel()
		c := serve(t, transport.WebSocketOptions{}).connect(t)
		c.send(`{"type":"ping","payload":{"a":"` + strings.Repeat("x", 200_000) + `"}}`)
		c.want(`{"type":"pong","payload":{"a":"` + strings.Repeat("x", 200_000) + `"}}`)
		c.subscribe("1", "{big(size:100000)}")
		c.want(`{"id":"1","type":"next","payload":{"data":{"big":"`+strings.Repeat("x", 100_000)+`"}}}`, `{"id":"1","type":"complete"}`)
	})

	t.Run("lost", func(t *testing.T) {
		t.Parallel()
		s := serve(t, transport.WebSocketOptions{})
		c := s.connect(t)
		c.frame(ws.OpText, false, `{"type`)
		_ = c.conn.Close()
		wantCode(t, s.closes, transport.CloseAbnormal)
	})
}

func TestUpgrade(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{AllowedOrigins: []string{"https://app.example.com", "https://*.example.org"}})
	for name, test := range map[string]struct {
		origin string
		status int
	}{
		"no origin":      {"", 101},
		"same host":      {"http://" + s.addr, 101},
		"listed":         {"https://app.example.com", 101},
		"in capitals":    {"HTTPS://APP.example.com", 101},
		"pattern":        {"https://a.b.example.org", 101},
		"other scheme":   {"http://app.example.com", 403},
		"foreign":        {"https://evil.example.net", 403},
		"suffix":         {"https://app.example.com.evil.net", 403},
		"opaque":         {"null", 403},
		"within pattern": {"https://evil.net/.example.org", 403},
	} {
		t.Run(name, func(t *testing.T) {
			header := subprotocol.Clone()
			if test.origin != "" {
				header.Set("Origin", test.origin)
			}
			if _, resp := s.upgrade(t, header, nil); resp.StatusCode != test.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, test.status)
			}
		})
	}
	for name, protocols := range map[string][]string{"none": nil, "legacy": {"graphql-ws"}} {
		t.Run("subprotocol "+name, func(t *testing.T) {
			c, resp := s.upgrade(t, http.Header{"Sec-WebSocket-Protocol": protocols}, nil)
			if resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("status %d", resp.StatusCode)
			}
			c.wantClose(4406)
		})
	}
	t.Run("subprotocol among others", func(t *testing.T) {
		c, resp := s.upgrade(t, http.Header{"Sec-WebSocket-Protocol": {"graphql-ws, graphql-transport-ws"}}, nil)
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != transport.Subprotocol {
			t.Fatalf("negotiated %q", got)
		}
		c.send(`{"type":"connection_init"}`)
		c.want(`{"type":"connection_ack"}`)
	})
	t.Run("handshake without a key", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Connection", "Upgrade")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("status %d", resp.StatusCode)
		}
	})
}

func TestInit(t *testing.T) {
	type result struct {
		header  http.Header
		payload map[string]any
		conn    *transport.Conn
	}
	given := make(chan result, 1)
	s := serve(t, transport.WebSocketOptions{
		Init: func(ctx context.Context, conn *transport.Conn, payload map[string]any, header http.Header) (context.Context, time.Time, error) {
			given <- result{header, payload, conn}
			if from, ok := transport.ConnFromContext(ctx); !ok || from != conn {
				t.Error("the context has another connection")
			}
			switch payload["token"] {
			case "refused":
				return nil, time.Time{}, errors.New("this token is not valid")
			case "overloaded":
				return nil, time.Time{}, &transport.CloseError{Code: 1013, Reason: "later"}
			case "unsendable":
				return nil, time.Time{}, &transport.CloseError{Code: 1006}
			case "panic":
				panic("init")
			case "expired":
				return ctx, time.Now().Add(-time.Second), nil
			case "lost":
				return context.Background(), time.Time{}, nil
			case "none":
				return nil, time.Time{}, nil
			}
			return context.WithValue(ctx, viewerKey{}, payload["token"]), time.Time{}, nil
		},
	})
	for token, code := range map[string]uint16{
		"refused": 4403, "expired": 4403, "overloaded": 1013, "unsendable": 1011, "panic": 1011, "lost": 1011,
	} {
		t.Run(token, func(t *testing.T) {
			c := s.dial(t)
			c.send(`{"type":"connection_init","payload":{"token":"` + token + `"}}`)
			if messages := c.wantClose(code); len(messages) > 0 {
				t.Fatalf("messages %q", messages)
			}
			<-given
		})
	}
	t.Run("ok", func(t *testing.T) {
		header := subprotocol.Clone()
		header.Set("Authorization", "Bearer x")
		c, _ := s.upgrade(t, header, nil)
		c.send(`{"type":"connection_init","payload":{"token":"ann"}}`)
		c.want(`{"type":"connection_ack"}`)
		got := <-given
		if got.header.Get("Authorization") != "Bearer x" || got.header.Get("Sec-WebSocket-Key") != "" || got.payload["token"] != "ann" {
			t.Fatalf("got %v", got)
		}
		c.subscribe("1", "{viewer}")
		c.want(`{"id":"1","type":"next","payload":{"data":{"viewer":"ann"}}}`, `{"id":"1","type":"complete"}`)
		got.conn.Close(transport.CloseForbidden, "revoked:"+strings.Repeat("é", 100))
		c.wantClose(4403)
	})
	t.Run("nil context", func(t *testing.T) {
		c := s.dial(t)
		c.send(`{"type":"connection_init","payload":{"token":"none"}}`)
		c.want(`{"type":"connection_ack"}`)
		<-given
		c.subscribe("1", "{viewer}")
		c.want(`{"id":"1","type":"next","payload":{"data":{"viewer":null}}}`, `{"id":"1","type":"complete"}`)
	})
}

func TestInitTimes(t *testing.T) {
	t.Run("nothing comes", func(t *testing.T) {
		t.Parallel()
		s := serve(t, transport.WebSocketOptions{InitTimeout: 20 * time.Millisecond})
		s.dial(t).wantClose(4408)
		wantCode(t, s.closes, 4408)
	})
	t.Run("Init takes too long", func(t *testing.T) {
		t.Parallel()
		cancelled := make(chan struct{})
		s := serve(t, transport.WebSocketOptions{
			InitTimeout: 20 * time.Millisecond,
			Init: func(ctx context.Context, _ *transport.Conn, _ map[string]any, _ http.Header) (context.Context, time.Time, error) {
				<-ctx.Done()
				close(cancelled)
				return ctx, time.Time{}, nil
			},
		})
		c := s.dial(t)
		c.send(`{"type":"connection_init"}`)
		if messages := c.wantClose(4408); len(messages) > 0 {
			t.Fatalf("messages %q", messages)
		}
		<-cancelled
	})
	t.Run("while Init decides", func(t *testing.T) {
		t.Parallel()
		for message, code := range map[string]uint16{
			`{"type":"connection_init"}`:                              4429,
			`{"type":"subscribe","id":"1","payload":{"query":"{a}"}}`: 4401,
		} {
			s := serve(t, transport.WebSocketOptions{
				Init: func(ctx context.Context, _ *transport.Conn, _ map[string]any, _ http.Header) (context.Context, time.Time, error) {
					<-ctx.Done()
					return ctx, time.Time{}, nil
				},
			})
			c := s.dial(t)
			c.send(`{"type":"connection_init"}`, `{"type":"ping"}`)
			c.want(`{"type":"pong"}`)
			c.send(message)
			c.wantClose(code)
		}
	})
}

func TestPing(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		c := serve(t, transport.WebSocketOptions{}).dial(t)
		c.send(`{"type":"ping"}`, `{"type":"ping","payload":null}`, `{"type":"ping","payload":{"a":[1]}}`, `{"type":"pong"}`)
		c.want(`{"type":"pong"}`, `{"type":"pong"}`, `{"type":"pong","payload":{"a":[1]}}`)
		c.send(`{"type":"connection_init"}`)
		c.want(`{"type":"connection_ack"}`)
	})
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		c := serve(t, transport.WebSocketOptions{PingInterval: 10 * time.Millisecond, PongTimeout: 5 * time.Second}).connect(t)
		op, payload, err := c.next()
		if err != nil || op != ws.OpPing {
			t.Fatalf("got %x %v", op, err)
		}
		c.frame(ws.OpPong, true, string(payload))
		c.send(`{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
	})
	t.Run("goes on while pongs come", func(t *testing.T) {
		t.Parallel()
		c := serve(t, transport.WebSocketOptions{PingInterval: time.Second, PongTimeout: time.Second}).connect(t)
		pings := 0
		for pings < 3 {
			op, payload, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			if op == ws.OpClose {
				t.Fatal("closed, though every ping was answered")
			}
			c.frame(ws.OpPong, true, string(payload))
			pings++
		}
	})
	t.Run("not answered", func(t *testing.T) {
		t.Parallel()
		s := serve(t, transport.WebSocketOptions{PingInterval: 10 * time.Millisecond, PongTimeout: 20 * time.Millisecond})
		c := s.connect(t)
		if op, _, err := c.next(); err != nil || op != ws.OpPing {
			t.Fatalf("got %x %v", op, err)
		}
		c.wantClose(transport.CloseGoingAway)
		wantCode(t, s.closes, transport.CloseGoingAway)
	})
	t.Run("none", func(t *testing.T) {
		c := serve(t, transport.WebSocketOptions{PingInterval: -1}).connect(t)
		c.send(`{"type":"ping"}`)
		c.want(`{"type":"pong"}`)
	})
}
