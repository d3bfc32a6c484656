package transport

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gobwas/ws"
)

// Subprotocol is what clients name in Sec-WebSocket-Protocol.
const Subprotocol = "graphql-transport-ws"

// InitFunc decides about a connection_init.
//
// payload is the message's, nil without one; header is that of the upgrade request. ctx ends with the connection, whether or not the
// function still runs ([context.AfterFunc] on it is the way to forget conn), and carries conn for [ConnFromContext]. conn may be kept, to
// end the connection later.
//
// The returned context must come from ctx; its values are those of every operation on this connection. nil means ctx. At the returned time,
// unless it is zero, the connection is closed with [CloseForbidden] and nothing else is said to its subscriptions.
//
// An error closes the connection: a *[CloseError] with its code and reason, another one with [CloseForbidden] and the message that the
// executor's error presenter makes of it.
type InitFunc func(ctx context.Context, conn *Conn, payload map[string]any, header http.Header) (context.Context, time.Time, error)

// WebSocketOptions configure a [WebSocket]. The zero value is usable and safe: everything has a limit but the number of connections.
type WebSocketOptions struct {
	// Init is asked about each connection_init. nil: everybody is let in.
	Init InitFunc
	// AllowedOrigins are the origins, besides the request's own host, whose pages may connect, as `https://app.example.com`; `*` stands for
	// any characters but a slash, and alone for every origin. Requests without an Origin do not come from pages and are always let in.
	AllowedOrigins []string
	// InitTimeout is the time from the upgrade to connection_ack; then the close code is [CloseInitTimeout]. Zero or less:
	// [DefaultInitTimeout].
	InitTimeout time.Duration
	// Timeout is the time for a query or a mutation, for the opening of a subscription, for one call of [Source.Take] and for the execution
	// of one event, or of a few that are pushed together. Zero: [DefaultTimeout]; negative: none.
	Timeout time.Duration
	// WriteTimeout is the time for one message to be taken by the peer; then it is disconnected with [CloseTryAgain]. Zero or less:
	// [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// SendBuffer is how many bytes the system may keep of what was written to a connection until the peer takes them. Zero or less: what
	// the system thinks right, which for a fast peer is megabytes that one who then stops reading goes on to hold.
	SendBuffer int
	// PingInterval is the time between pings. Zero: [DefaultPingInterval]; negative: no pings.
	PingInterval time.Duration
	// PongTimeout is how long after a ping something must be heard of the peer; else it is disconnected with [CloseGoingAway]. Zero or less:
	// [DefaultPongTimeout].
	PongTimeout time.Duration
	// MaxConnections is the most connections at once; above it upgrades are answered 503. Zero or less: no limit.
	MaxConnections int
	// MaxStrangers is the most connections at once that have no connection_ack yet; above it upgrades are answered 503. Zero or less: no
	// limit but MaxConnections.
	MaxStrangers int
	// MaxStrangersPerPeer is the same for one peer; above it upgrades are answered 429. Zero or less: no such limit.
	MaxStrangersPerPeer int
	// Peer names who asks for an upgrade, for MaxStrangersPerPeer: an address, as far as the caller believes it. Who has no name, the empty
	// one, is not counted. nil: the address that the connection comes from, without its port.
	Peer func(r *http.Request) string
	// MaxSubscriptions is the most subscriptions on one connection; above it they are answered LIMIT_EXCEEDED. Zero or less:
	// [DefaultMaxSubscriptions].
	MaxSubscriptions int
	// MaxOpenings is the most subscriptions, of all connections, whose resolvers open at once. The others wait, first come, first served, for
	// as long as their clients do; their Timeout begins when their turn comes. Zero or less: [DefaultMaxOpenings].
	MaxOpenings int
	// MaxOperations is the most queries and mutations that run at once for one connection; above it they are answered LIMIT_EXCEEDED. Zero or
	// less: [DefaultMaxOperations].
	MaxOperations int
	// MaxMessage is the most bytes of a message from the client; a longer one closes the connection with [CloseTooBig]. Zero or less:
	// [DefaultMaxBody].
	MaxMessage int
	// MaxInitMessage is the same before connection_ack, when nobody knows who the client is. Zero or less: [DefaultMaxInitMessage].
	MaxInitMessage int
	// Hooks are called as connections and subscriptions come and go.
	Hooks Hooks
}

// WebSocket serves graphql-transport-ws.
//
// A connection has one goroutine, which reads; the handler of the upgrade returns at once. A subscription that is parked has none: see
// [Park]. Where a subscription's resolver returns an open channel, as with gqlgen's own transports, it has one.
//
// Each message to the client is written with a deadline. A client that stops reading is disconnected within WriteTimeout and three seconds,
// meanwhile nothing is queued for it, and nobody else waits for it.
//
// [http.Server.Shutdown] knows nothing of these connections: call Close. A WebSocket is safe for concurrent use.
type WebSocket struct {
	options   WebSocketOptions
	templates templates
	shares    shares
	// openings holds a token for each subscription whose resolver opens.
	openings chan struct{}
	// pumps hands a connection that has something to push to one of the idle goroutines that wait for it.
	pumps chan *Conn
	idle  atomic.Int32
	// closing is closed by Close.
	closing chan struct{}
	// running counts the goroutines of all connections.
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	count  int // connections, those in the middle of their upgrade included
	conns  map[*Conn]struct{}
	// strangers is how many of count have no connection_ack yet, and perPeer how many of these each peer has, as far as it has a name.
	strangers int
	perPeer   map[string]int
}

// NewWebSocket returns a transport that serves under options.
func NewWebSocket(options WebSocketOptions) *WebSocket {
	options.InitTimeout = positiveOr(options.InitTimeout, DefaultInitTimeout)
	options.Timeout = orDefault(options.Timeout, DefaultTimeout)
	options.WriteTimeout = positiveOr(options.WriteTimeout, DefaultWriteTimeout)
	options.PingInterval = orDefault(options.PingInterval, DefaultPingInterval)
	options.PongTimeout = positiveOr(options.PongTimeout, DefaultPongTimeout)
	options.MaxSubscriptions = positiveOr(options.MaxSubscriptions, DefaultMaxSubscriptions)
	options.MaxOperations = positiveOr(options.MaxOperations, DefaultMaxOperations)
	options.MaxMessage = positiveOr(options.MaxMessage, DefaultMaxBody)
	options.MaxInitMessage = min(positiveOr(options.MaxInitMessage, DefaultMaxInitMessage), options.MaxMessage)
	options.MaxOpenings = positiveOr(options.MaxOpenings, DefaultMaxOpenings)
	return &WebSocket{options: options, openings: make(chan struct{}, options.MaxOpenings), pumps: make(chan *Conn), closing: make(chan struct{}), conns: make(map[*Conn]struct{}), perPeer: make(map[string]int)}
}

// Supports implements [graphql.Transport]: requests for an upgrade to WebSocket.
func (t *WebSocket) Supports(r *http.Request) bool {
	return isUpgrade(r)
}

// Do implements [graphql.Transport]. It returns once the connection is upgraded; neither r nor its context is used after that.
func (t *WebSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if !t.allows(r) {
		http.Error(w, "pages of this origin may not connect", http.StatusForbidden)
		return
	}
	peer := t.peerOf(r)
	if why := t.reserve(peer); why != "" {
		t.turnAway(w, why)
		return
	}
	upgrader := ws.HTTPUpgrader{
		Timeout:  t.options.WriteTimeout,
		Protocol: func(name string) bool { return name == Subprotocol },
	}
	socket, buffers, handshake, err := upgrader.Upgrade(r, w)
	if err != nil {
		// The upgrader has answered, and has hijacked the connection even so.
		if socket != nil {
			_ = socket.Close()
		}
		t.unreserve(&peer)
		return
	}
	limitUnsent(socket, t.options.SendBuffer)
	// The buffers are left to the collector, 8 KiB a connection; what a hasty client sent behind its handshake is in them.
	early, _ := buffers.Reader.Peek(buffers.Reader.Buffered())
	c := newConn(t, exec, socket, append([]byte(nil), early...), initHeader(r.Header), peer)
	t.add(c)
	if handshake.Protocol != Subprotocol {
		c.shut(CloseBadSubprotocol, "subprotocol not acceptable: use "+Subprotocol)
	}
	go c.read()
}

// Close refuses further connections, closes all with [CloseRestart], and waits until they and the operations on them have ended. When ctx
// ends first, the connections that are left are cut, and its error is returned.
func (t *WebSocket) Close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
	conns := t.snapshot()
	t.mu.Unlock()
	for _, c := range conns {
		c.shut(CloseRestart, "the server is shutting down: come back")
	}
	ended := make(chan struct{})
	go func() {
		t.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	conns = t.snapshot()
	t.mu.Unlock()
	for _, c := range conns {
		_ = c.socket.Close()
	}
	return ctx.Err()
}

// snapshot copies the set of connections: closing one takes it out. mu must be held.
func (t *WebSocket) snapshot() []*Conn {
	conns := make([]*Conn, 0, len(t.conns))
	for c := range t.conns {
		conns = append(conns, c)
	}
	return conns
}

// reserve counts a connection before it is upgraded, so that the limits hold whatever comes at once. Where one is reached it says which.
func (t *WebSocket) reserve(peer stranger) Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := &t.options
	switch {
	case t.closed:
		return RefusedClosing
	case o.MaxConnections > 0 && t.count >= o.MaxConnections:
		return RefusedConnections
	case o.MaxStrangersPerPeer > 0 && peer.name != "" && t.perPeer[peer.name] >= o.MaxStrangersPerPeer:
		return RefusedPeer
	case o.MaxStrangers > 0 && t.strangers >= o.MaxStrangers:
		return RefusedStrangers
	}
	t.count++
	t.strangers++
	if peer.name != "" {
		t.perPeer[peer.name]++
	}
	t.running.Add(1)
	return ""
}

// turnAway answers an upgrade that a limit does not let in, before it costs a socket: browsers and others see a connection that was not
// made, and come back. The client's connection is closed, since it is for nothing else.
func (t *WebSocket) turnAway(w http.ResponseWriter, why Refusal) {
	status, text := http.StatusServiceUnavailable, "no more connections now"
	if why == RefusedPeer {
		status, text = http.StatusTooManyRequests, "too many connections from this address have not begun"
	}
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Connection", "close")
	http.Error(w, text, status)
	if hook := t.options.Hooks.Refused; hook != nil {
		hook(why)
	}
}

func (t *WebSocket) unreserve(peer *stranger) {
	t.mu.Lock()
	t.count--
	t.acquainted(peer)
	t.mu.Unlock()
	t.running.Done()
}

// stranger is a connection without connection_ack. Its fields are guarded by the mu of [WebSocket].
type stranger struct {
	name  string // of its peer
	known bool   // not counted any more
}

// peerOf names who asks for an upgrade.
func (t *WebSocket) peerOf(r *http.Request) stranger {
	if t.options.MaxStrangersPerPeer <= 0 {
		return stranger{}
	}
	if t.options.Peer != nil {
		return stranger{name: t.options.Peer(r)}
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // what is no address has no name
	return stranger{name: host}
}

// acquaint takes a connection out of the strangers. It may be called again.
func (t *WebSocket) acquaint(peer *stranger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acquainted(peer)
}

// acquainted is acquaint with mu held.
func (t *WebSocket) acquainted(peer *stranger) {
	if peer.known {
		return
	}
	peer.known = true
	t.strangers--
	if peer.name == "" {
		return
	}
	if t.perPeer[peer.name]--; t.perPeer[peer.name] == 0 {
		delete(t.perPeer, peer.name)
	}
	peer.name = ""
}

// Strangers is how many connections have no connection_ack now.
func (t *WebSocket) Strangers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.strangers
}

// enter waits for a subscription's turn to open. It reports false when ctx ended first.
func (t *WebSocket) enter(ctx context.Context) bool {
	select {
	case t.openings <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// leave is called once for each enter that reported true.
func (t *WebSocket) leave() { <-t.openings }

func (t *WebSocket) add(c *Conn) {
	call(t.options.Hooks.Opened)
	t.mu.Lock()
	t.conns[c] = struct{}{}
	closed := t.closed
	t.mu.Unlock()
	if closed {
		// Close took its snapshot while this one was being upgraded.
		c.shut(CloseRestart, "the server is shutting down: come back")
	}
}

// remove is called once for each connection, when its socket is closed.
func (t *WebSocket) remove(c *Conn, code uint16) {
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
	if hook := t.options.Hooks.Closed; hook != nil {
		hook(code)
	}
	t.unreserve(&c.stranger)
}

// allows checks the origin of the page that connects. Browsers let every page open WebSockets to every host, with cookies; the server is
// the only one to refuse.
func (t *WebSocket) allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if from, err := url.Parse(origin); err == nil && from.Host != "" && strings.EqualFold(from.Host, r.Host) {
		return true
	}
	for _, pattern := range t.options.AllowedOrigins {
		if pattern == "*" {
			return true
		}
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(origin)); err == nil && ok {
			return true
		}
	}
	return false
}

func isUpgrade(r *http.Request) bool {
	for _, value := range r.Header.Values("Upgrade") {
		for name := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "websocket") {
				return true
			}
		}
	}
	return false
}

// initHeader copies the header of an upgrade for InitFunc, without what only the handshake was about.
func initHeader(header http.Header) http.Header {
	kept := make(http.Header, len(header))
	for name, values := range header {
		if name != "Connection" && name != "Upgrade" && !strings.HasPrefix(name, "Sec-Websocket-") {
			kept[name] = append([]string(nil), values...)
		}
	}
	return kept
}

func call(hook func()) {
	if hook != nil {
		hook()
	}
}

func positiveOr[T ~int | ~int64](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}
