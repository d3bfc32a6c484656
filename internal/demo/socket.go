package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/coder/websocket"
)

// subprotocol is the GraphQL protocol over WebSocket that the product speaks.
const subprotocol = "graphql-transport-ws"

// frame is one message of the protocol, either way.
type frame struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket is one acknowledged connection. One goroutine receives; the rest is safe for concurrent
// use.
type socket struct{ conn *websocket.Conn }

// frameBytes bounds a message of the server.
const frameBytes = 1 << 20

// dial connects with a token. The connection is to be closed.
func dial(ctx context.Context, client *http.Client, url, token string) (*socket, error) {
	conn, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{subprotocol}})
	if response != nil && response.Body != nil {
		_ = response.Body.Close() // the library has taken what is of use.
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(frameBytes)
	s := &socket{conn: conn}
	if err := s.initialise(ctx, token); err != nil {
		_ = conn.CloseNow()
		return nil, err
	}
	return s, nil
}

func (s *socket) initialise(ctx context.Context, token string) error {
	if err := s.send(ctx, frame{Type: "connection_init"}, map[string]string{"Authorization": "Bearer " + token}); err != nil {
		return err
	}
	f, err := s.receive(ctx)
	if err == nil && f.Type != "connection_ack" {
		err = fmt.Errorf("%s instead of connection_ack", f.Type)
	}
	return err
}

// subscribe begins a subscription; after is the cursor to go on behind.
func (s *socket) subscribe(ctx context.Context, id, document, after string) error {
	return s.send(ctx, frame{ID: id, Type: "subscribe"}, map[string]any{"query": document, "variables": vars{"after": after}})
}

// complete ends a subscription. Events that are on their way may still arrive.
func (s *socket) complete(ctx context.Context, id string) error {
	return s.send(ctx, frame{ID: id, Type: "complete"}, nil)
}

// receive is the next message; pings are answered here.
func (s *socket) receive(ctx context.Context) (frame, error) {
	for {
		kind, text, err := s.conn.Read(ctx)
		if err != nil {
			return frame{}, err
		}
		var f frame
		if kind != websocket.MessageText {
			return f, errors.New("a message is not text")
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return f, err
		}
		if f.Type != "ping" {
			return f, nil
		}
		if err := s.send(ctx, frame{Type: "pong"}, nil); err != nil {
			return f, err
		}
	}
}

func (s *socket) send(ctx context.Context, f frame, payload any) (err error) {
	if payload != nil {
		if f.Payload, err = json.Marshal(payload); err != nil {
			return err
		}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, websocket.MessageText, text)
}

// close says goodbye and waits a few seconds for the answer.
func (s *socket) close() { _ = s.conn.Close(websocket.StatusNormalClosure, "") }
