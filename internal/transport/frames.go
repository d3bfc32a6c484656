package transport

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

const (
	// idleBuffer is what a connection reads into while nothing comes; most messages of clients fit.
	idleBuffer = 128
	// pooledBuffer is the largest buffer kept for the next message.
	pooledBuffer = 16 << 10
	// firstChunk is how much of a frame's length is believed before the bytes are there.
	firstChunk = 32 << 10
)

// errPeerClosed: a close frame came.
var errPeerClosed = errors.New("the peer closed the connection")

// buffer holds messages while they are read or written. Zero is empty.
type buffer struct {
	bytes []byte
	start int // of the frame that is being built
}

// buffers are shared by all connections: an idle one has none.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

func takeBuffer() *buffer {
	b, ok := buffers.Get().(*buffer)
	if !ok {
		return new(buffer)
	}
	return b
}

func (b *buffer) free() {
	if cap(b.bytes) > pooledBuffer {
		return
	}
	b.bytes = b.bytes[:0]
	buffers.Put(b)
}

// usualHeader is the header size of frames from 126 to 65,535 bytes: these need not be moved once their length is known.
const usualHeader = 4

// begin leaves room for a frame's header; what is appended to bytes until end is its payload.
func (b *buffer) begin() {
	b.start = len(b.bytes)
	b.bytes = append(b.bytes, make([]byte, usualHeader)...)
}

func (b *buffer) end(op ws.OpCode) {
	payload := len(b.bytes) - b.start - usualHeader
	header := ws.Header{Fin: true, OpCode: op, Length: int64(payload)}
	size := ws.HeaderSize(header)
	if size > usualHeader {
		b.bytes = append(b.bytes, make([]byte, size-usualHeader)...)
	}
	if size != usualHeader {
		copy(b.bytes[b.start+size:], b.bytes[b.start+usualHeader:b.start+usualHeader+payload])
		b.bytes = b.bytes[:b.start+size+payload]
	}
	// A header of a length that fits into memory is always written.
	_ = ws.WriteHeader(b, header)
}

// Write puts a frame's header into the room that was left for it; it is what end hands to ws.
func (b *buffer) Write(header []byte) (int, error) {
	return copy(b.bytes[b.start:], header), nil
}

// input reads a socket through a buffer that is as small as an idle connection should be.
type input struct {
	socket net.Conn
	unread []byte // of buf, or what came with the handshake
	head   [ws.MaxHeaderSize]byte
	buf    [idleBuffer]byte
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if len(in.unread) == 0 {
		if len(p) >= len(in.buf) {
			return in.socket.Read(p)
		}
		n, err := in.socket.Read(in.buf[:])
		if n == 0 {
			return 0, err
		}
		in.unread = in.buf[:n]
	}
	n := copy(p, in.unread)
	in.unread = in.unread[n:]
	return n, nil
}

// payload appends a frame's payload to message. The length is the peer's word: memory is taken as the bytes come.
func (in *input) payload(message []byte, header ws.Header) ([]byte, error) {
	start := len(message)
	for left := int(header.Length); left > 0; {
		chunk := min(left, max(firstChunk, len(message)))
		end := len(message)
		message = slices.Grow(message, chunk)[:end+chunk]
		if _, err := io.ReadFull(in, message[end:]); err != nil {
			return message, err
		}
		left -= chunk
	}
	ws.Cipher(message[start:], header.Mask, 0)
	return message, nil
}

// read is the connection's goroutine.
func (c *Conn) read() {
	err := c.readMessages()
	if violation, ok := errors.AsType[*CloseError](err); ok {
		c.shut(violation.Code, violation.Reason)
		// Where frames begin is not known any more. depart sets the deadline at which this ends.
		_, _ = io.Copy(io.Discard, c.socket)
	}
	c.shut(CloseAbnormal, "")
	c.release()
}

func (c *Conn) readMessages() error {
	for {
		message, err := c.readMessage()
		if err != nil {
			return err
		}
		c.handle(message.bytes)
		message.free()
	}
}

// readMessage returns the next data message, whole. Control frames before it and between its fragments are answered. A *CloseError is
// returned for what breaks RFC 6455 or is too long.
func (c *Conn) readMessage() (*buffer, error) {
	state := ws.StateServerSide
	var message *buffer
	for {
		header, err := ws.ReadHeaderBuffer(&c.in, c.in.head[:])
		switch {
		case errors.Is(err, ws.ErrHeaderLengthMSB), errors.Is(err, ws.ErrHeaderLengthUnexpected):
			return nil, &CloseError{Code: CloseProtocolError, Reason: err.Error()}
		case err != nil:
			return nil, err
		}
		if err = ws.CheckHeader(header, state); err != nil {
			return nil, &CloseError{Code: CloseProtocolError, Reason: err.Error()}
		}
		if header.OpCode.IsControl() {
			if err = c.control(header); err != nil {
				return nil, err
			}
			continue
		}
		if header.OpCode == ws.OpBinary {
			return nil, &CloseError{Code: CloseInvalidMessage, Reason: "messages must be text"}
		}
		if message == nil {
			message = takeBuffer()
		}
		const huge = 1 << 30 // no message is, and with what is there it is a number on every machine.
		if header.Length > int64(c.maxMessage(len(message.bytes)+int(min(header.Length, huge)))-len(message.bytes)) {
			return nil, &CloseError{Code: CloseTooBig, Reason: "the message is too big"}
		}
		if message.bytes, err = c.in.payload(message.bytes, header); err != nil {
			return nil, err
		}
		c.hear()
		if header.Fin {
			if !utf8.Valid(message.bytes) {
				return nil, &CloseError{Code: CloseInvalidText, Reason: "the message is not utf-8"}
			}
			return message, nil
		}
		state = state.Set(ws.StateFragmented)
	}
}

// maxMessage is the most bytes of a message now, of which one of size comes.
func (c *Conn) maxMessage(size int) int {
	if size > c.transport.options.MaxInitMessage {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.phase != phaseReady {
			return c.transport.options.MaxInitMessage
		}
	}
	return c.transport.options.MaxMessage
}

// control reads the payload of a control frame and answers it.
func (c *Conn) control(header ws.Header) error {
	payload, err := c.in.payload(nil, header)
	if err != nil {
		return err
	}
	c.hear()
	switch header.OpCode { //nolint:exhaustive // a pong has nothing to say but that they live; no other comes here.
	case ws.OpPing:
		out := takeBuffer()
		out.begin()
		out.bytes = append(out.bytes, payload...)
		out.end(ws.OpPong)
		c.send(nil, false, out.bytes)
		out.free()
	case ws.OpClose:
		if !c.isClosing() { // else it is the answer to ours
			c.left.Store(true)
		}
		if len(payload) == 0 {
			c.shut(CloseNoStatus, "")
			return errPeerClosed
		}
		code, reason := ws.ParseCloseFrameData(payload)
		// The codes that RFC 6455 leaves to the registry are valid, 1012 to 1014 for instance, which ws does not know.
		if !isSendable(uint16(code)) || !utf8.ValidString(reason) {
			return &CloseError{Code: CloseProtocolError, Reason: "the close frame is invalid"}
		}
		c.shut(uint16(code), "")
		return errPeerClosed
	}
	return nil
}

// hear notes that the client is there.
func (c *Conn) hear() {
	c.heard.Store(true)
	c.heardAt.Store(time.Now().UnixNano())
}
