package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// Socket is one connection of graphql-transport-ws, made to cost the load generator little: it
// reads frames into one buffer and parses nothing. One goroutine uses it.
type Socket struct {
	conn   net.Conn
	in     *bufio.Reader
	buffer []byte
}

const (
	dialTime   = 30 * time.Second
	readBuffer = 1 << 10
)

// Dial connects from source (an address of this machine; nil: any) and has token acknowledged.
func Dial(ctx context.Context, addr string, source net.Addr, token string) (*Socket, error) {
	d := net.Dialer{Timeout: dialTime, LocalAddr: source}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Socket{conn: conn, in: bufio.NewReaderSize(conn, readBuffer)}
	if err := s.open(addr, token); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

func (s *Socket) open(addr, token string) error {
	if err := s.conn.SetDeadline(time.Now().Add(dialTime)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.conn, "GET /graphql HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n", addr)
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	_ = answer.Body.Close() // an upgrade has none.
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the upgrade was answered %s", answer.Status)
	}
	if err := s.Send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`); err != nil {
		return err
	}
	text, err := s.Next()
	if err != nil {
		return err
	}
	if string(text) != `{"type":"connection_ack"}` {
		return fmt.Errorf("%s instead of connection_ack", text)
	}
	return s.conn.SetDeadline(time.Time{})
}

// Subscribe begins a subscription with these variables.
func (s *Socket) Subscribe(document string, variables map[string]any) error {
	payload, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return err
	}
	return s.Send(`{"id":"1","type":"subscribe","payload":` + string(payload) + `}`)
}

// Send sends a text message.
func (s *Socket) Send(text string) error { return s.write(ws.OpText, []byte(text)) }

func (s *Socket) write(op ws.OpCode, payload []byte) error {
	frame, err := ws.CompileFrame(ws.MaskFrameInPlace(ws.NewFrame(op, true, payload)))
	if err != nil {
		return err
	}
	_, err = s.conn.Write(frame)
	return err
}

// Next is the next text message, good until the next call. Pings are answered on the way.
func (s *Socket) Next() ([]byte, error) {
	for {
		h, err := ws.ReadHeader(s.in)
		if err != nil {
			return nil, err
		}
		if int64(cap(s.buffer)) < h.Length {
			s.buffer = make([]byte, h.Length)
		}
		s.buffer = s.buffer[:h.Length]
		if _, err := io.ReadFull(s.in, s.buffer); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpPing:
			if err := s.write(ws.OpPong, s.buffer); err != nil {
				return nil, err
			}
		case ws.OpText:
			if string(s.buffer) != `{"type":"ping"}` {
				return s.buffer, nil
			}
			if err := s.Send(`{"type":"pong"}`); err != nil {
				return nil, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(s.buffer)
			return nil, fmt.Errorf("closed with %d %s", code, reason)
		}
	}
}

// SetDeadline bounds what is read from now on.
func (s *Socket) SetDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }

// Leave says goodbye as a browser does; Close is to follow.
func (s *Socket) Leave() error {
	return s.write(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
}

// IsTimeout reports whether a read ended because its deadline had come.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Close drops the connection.
func (s *Socket) Close() error { return s.conn.Close() }
