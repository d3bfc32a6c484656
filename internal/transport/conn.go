package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gobwas/ws"
)

const (
	// closeGrace bounds each step of a closing: the write that is under way, the close frame, and the peer's answer to it.
	closeGrace = time.Second
	// never is further away than any connection lives.
	never = 100 * 365 * 24 * time.Hour
	// maxCloseReason is what two bytes of code leave of a control frame's 125.
	maxCloseReason = ws.MaxControlFramePayloadSize - 2
)

// The phases of a connection.
const (
	phaseOpen         uint8 = iota // upgraded
	phaseInitialising              // connection_init came, Init decides
	phaseReady                     // connection_ack is sent
)

type connKey struct{}

// Conn is a WebSocket connection. Its methods are safe for concurrent use.
//
// Who writes holds writing; who reads or changes the fields below mu holds mu. mu is held for moments, never while anything of the
// application is called and never over a read or write; writing may be held for as long as the write timeout. Where both are needed
// writing is taken first.
type Conn struct {
	transport *WebSocket
	exec      graphql.GraphExecutor
	socket    net.Conn
	ctx       context.Context // ends when the closing begins
	cancel    context.CancelFunc
	in        input
	header    http.Header  // until Init has it
	heard     atomic.Bool  // something came since the last ping
	heardAt   atomic.Int64 // when the client was last heard: nanoseconds since the Unix epoch
	left      atomic.Bool  // the client closed the connection
	stranger  stranger     // the transport's

	writing sync.Mutex
	torn    []byte // the rest of a message that could be written in part only

	mu         sync.Mutex
	timer      *time.Timer
	viewer     context.Context // what Init returned
	expires    time.Time
	due        time.Time // when connection_ack, the next ping or its pong is due
	phase      uint8
	users      int8 // goroutines that need the socket
	closing    bool
	pinged     bool // due is a pong's
	pumping    bool
	opening    bool
	code       uint16
	singles    int // running queries and mutations
	streams    int // subscriptions
	turn       int // where in operations the pump looks first
	waiting    []request
	operations []*operation // all that are active, in order of their subscribe messages
}

func newConn(t *WebSocket, exec graphql.GraphExecutor, socket net.Conn, early []byte, header http.Header, peer stranger) *Conn {
	c := &Conn{
		transport: t,
		exec:      exec,
		socket:    socket,
		in:        input{socket: socket, unread: early},
		header:    header,
		stranger:  peer,
		users:     1, // the reader
		due:       time.Now().Add(t.options.InitTimeout),
	}
	// The request's context ends when its handler returns, and holds on to the request: a connection begins anew.
	c.ctx, c.cancel = context.WithCancel(context.WithValue(context.Background(), connKey{}, c)) //nolint:forbidigo // as said.
	c.heardAt.Store(time.Now().UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(t.options.InitTimeout, c.tick)
	return c
}

// ConnFromContext returns the connection on which the operation of ctx runs. ok is false outside of WebSocket connections.
func ConnFromContext(ctx context.Context) (conn *Conn, ok bool) {
	conn, ok = ctx.Value(connKey{}).(*Conn)
	return conn, ok
}

// Closer ends what an operation is carried by: all of a WebSocket connection, or an event stream. code is a close code; the client is told
// code and reason. It returns at once.
type Closer interface {
	Close(code uint16, reason string)
}

// CloserFromContext returns what the subscription of ctx is carried by. ok is false where that is no connection which stays open.
func CloserFromContext(ctx context.Context) (c Closer, ok bool) {
	if conn, ok := ConnFromContext(ctx); ok {
		return conn, true
	}
	c, ok = ctx.Value(streamKey{}).(*eventPipe)
	return c, ok
}

// RemoteAddr is the network address of who connected: the client, or a proxy before it.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// Close ends the connection: its operations are cancelled, nothing more is said to them, and the client is sent code and reason. It returns
// at once, and does nothing where the connection is ending already. A code that may not be sent becomes [CloseInternal].
func (c *Conn) Close(code uint16, reason string) {
	if !isSendable(code) {
		code = CloseInternal
	}
	c.shut(code, reason)
}

// shut begins the closing. The first code is the one that counts. It does not block.
func (c *Conn) shut(code uint16, reason string) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.closing = true
	c.code = code
	c.waiting = nil
	var resting []*operation
	for _, o := range c.operations {
		o.done = true
		if o.state != stateRunning {
			resting = append(resting, o)
		}
	}
	c.operations = nil
	c.users++
	c.timer.Stop()
	// A write that is under way holds writing: it gets no more time than the closing has.
	_ = c.socket.SetWriteDeadline(time.Now().Add(closeGrace))
	c.spawn(func() { c.depart(code, reason, resting) })
	c.mu.Unlock()
	c.cancel()
}

// depart sends the close frame and lets go of the operations that no goroutine works on.
func (c *Conn) depart(code uint16, reason string, resting []*operation) {
	if c.writeClose(code, reason) {
		// Closing a socket with unread input makes the system send a reset, which may overtake the close frame. So the reader goes on until
		// the peer has closed its side.
		if half, ok := c.socket.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_ = c.socket.SetReadDeadline(time.Now().Add(closeGrace))
	} else {
		// What the peer has not taken by now the system need not keep for it.
		discardUnsent(c.socket)
		_ = c.socket.Close()
	}
	c.release()
	for _, o := range resting {
		c.end(o)
	}
}

func (c *Conn) writeClose(code uint16, reason string) bool {
	if code == CloseAbnormal {
		return false
	}
	var body []byte
	if code != CloseNoStatus {
		body = ws.NewCloseFrameBody(ws.StatusCode(code), crop(reason, maxCloseReason))
	}
	frame, err := ws.CompileFrame(ws.NewCloseFrame(body))
	if err != nil {
		return false
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.socket.SetWriteDeadline(time.Now().Add(closeGrace))
	_, err = c.socket.Write(append(c.torn, frame...))
	return err == nil
}

// release is called once by each that the socket was kept open for. The last one closes it.
func (c *Conn) release() {
	c.mu.Lock()
	c.users--
	last, code := c.users == 0, c.code
	c.mu.Unlock()
	if last {
		_ = c.socket.Close()
		c.transport.remove(c, code)
	}
}

// spawn starts a goroutine that Close waits for. It is called by one that Close waits for, or with mu held before the closing.
func (c *Conn) spawn(f func()) {
	c.transport.running.Go(f)
}

func (c *Conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// send writes messages. With an operation, nothing is written once that has ended; with last, this is what ends it. It blocks for as long
// as the write timeout, and reports whether the messages were written.
func (c *Conn) send(o *operation, last bool, messages []byte) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.closing || o != nil && o.done {
		c.mu.Unlock()
		return false
	}
	if last {
		// Ended before it is written and not after: who has read it may use the id again.
		c.forget(o)
	}
	return c.write(messages)
}

// write must be called with both locks held, and unlocks mu.
func (c *Conn) write(messages []byte) bool {
	// Under mu, or it could extend what shut has shortened.
	_ = c.socket.SetWriteDeadline(time.Now().Add(c.transport.options.WriteTimeout))
	c.mu.Unlock()
	n, err := c.socket.Write(messages)
	if err == nil {
		return true
	}
	c.torn = append([]byte(nil), messages[n:]...)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.shut(CloseTryAgain, "too slow a reader: resume from the last cursor")
	} else {
		c.shut(CloseAbnormal, "")
	}
	return false
}

// ping writes a ping unless something is being written: then the write's own deadline tells whether the peer is alive.
func (c *Conn) ping() {
	if !c.writing.TryLock() {
		c.heard.Store(true)
		return
	}
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.write(ws.CompiledPing)
}

// tick is the connection's one timer: for connection_ack, expiry, pings and pongs.
func (c *Conn) tick() {
	now := time.Now()
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	expired := !c.expires.IsZero() && !now.Before(c.expires)
	due := !now.Before(c.due)
	switch {
	case expired:
		c.mu.Unlock()
		c.shut(CloseForbidden, "what this connection was allowed with has expired")
		return
	case due && c.phase != phaseReady:
		c.mu.Unlock()
		c.shut(CloseInitTimeout, "connection initialisation timeout")
		return
	case due && c.pinged && !c.heard.Load():
		c.mu.Unlock()
		c.shut(CloseGoingAway, "no answer to a ping")
		return
	case due && c.pinged:
		c.pinged = false
		c.due = now.Add(max(0, c.transport.options.PingInterval-c.transport.options.PongTimeout))
		due = false
	case due:
		c.pinged = true
		c.heard.Store(false)
		c.due = now.Add(c.transport.options.PongTimeout)
	}
	c.arm(now)
	c.mu.Unlock()
	if due {
		c.ping()
	}
}

// arm sets the timer to what comes next. mu must be held.
func (c *Conn) arm(now time.Time) {
	next := c.due
	if !c.expires.IsZero() && c.expires.Before(next) {
		next = c.expires
	}
	c.timer.Reset(next.Sub(now))
}

// discardUnsent lets the system forget what is written to socket and not taken yet, once it is closed.
func discardUnsent(socket net.Conn) {
	if tcp := tcpOf(socket); tcp != nil {
		_ = tcp.SetLinger(0)
	}
}

// limitUnsent bounds what the system keeps of what is written to socket. Zero or less leaves it as it is.
func limitUnsent(socket net.Conn, size int) {
	if tcp := tcpOf(socket); tcp != nil && size > 0 {
		_ = tcp.SetWriteBuffer(size)
	}
}

// tcpOf is the TCP connection under socket, nil where there is none.
func tcpOf(socket net.Conn) *net.TCPConn {
	if wrapped, ok := socket.(interface{ NetConn() net.Conn }); ok {
		socket = wrapped.NetConn()
	}
	tcp, _ := socket.(*net.TCPConn)
	return tcp
}

func isSendable(code uint16) bool {
	switch code {
	case 1004, CloseNoStatus, CloseAbnormal: //nolint:mnd // RFC 6455 7.4.1: reserved, without a name.
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// crop cuts s to at most size bytes without cutting a rune in two, which would make a close frame invalid.
func crop(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}
