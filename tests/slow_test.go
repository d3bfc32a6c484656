package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/internal/transport"
	"clientele/limits"
)

// longText is as long a text as an event brings.
var longText = strings.Repeat("x", limits.TextBytes)

// stalled is a subscription whose client does nothing by itself: it reads when it is told to, and
// its system takes little for it meanwhile.
type stalled struct {
	tb   testing.TB
	conn net.Conn
	from io.Reader
}

// stall subscribes an advisor to messages with a new token.
func (w *world) stall(a *tenant, who string) *stalled {
	w.tb.Helper()
	return w.stallWith(w.bearer(who, a.account))
}

func (w *world) stallWith(token string) *stalled {
	w.tb.Helper()
	open := w.listening()
	s := w.stallSoon(token)
	w.await("the subscription is open", func() bool { return w.listening() > open })
	return s
}

// stallSoon does not wait until the server listens to the stream.
func (w *world) stallSoon(token string) *stalled {
	w.tb.Helper()
	const received = 4 << 10
	dialer := ws.Dialer{
		Protocols: []string{transport.Subprotocol}, Timeout: patience,
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
				if failed := c.Control(func(fd uintptr) {
					err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, received)
				}); failed != nil {
					return failed
				}
				return err
			}}
			return d.DialContext(ctx, network, addr)
		},
	}
	conn, early, _, err := dialer.Dial(context.Background(), "ws"+strings.TrimPrefix(w.url, "http")+"/graphql")
	if err != nil {
		w.tb.Fatalf("dial: %v", err)
	}
	w.tb.Cleanup(func() { _ = conn.Close() })
	s := &stalled{tb: w.tb, conn: conn, from: conn}
	if early != nil {
		s.from = io.MultiReader(bufio.NewReader(early), conn)
	}
	s.write(map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + token}})
	if f := s.read(); f.Type != "connection_ack" {
		w.tb.Fatalf("connection_init was answered by %s %s", f.Type, f.Payload)
	}
	s.write(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": shared(w.tb, "messages.graphql")}})
	return s
}

func (s *stalled) write(message any) {
	s.tb.Helper()
	if err := wsutil.WriteClientText(s.conn, marshal(message)); err != nil {
		s.tb.Fatalf("write to the socket: %v", err)
	}
}

// read is the next message; pings are passed over.
func (s *stalled) read() (f frame) {
	s.tb.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		header, err := ws.ReadHeader(s.from)
		if err != nil {
			s.tb.Fatalf("read from the socket: %v", err)
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(s.from, payload); err != nil {
			s.tb.Fatalf("read from the socket: %v", err)
		}
		switch header.OpCode {
		case ws.OpText:
			if err := json.Unmarshal(payload, &f); err != nil {
				s.tb.Fatal(err)
			}
			return f
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			s.tb.Fatalf("the connection was closed: %d %s", code, reason)
		}
	}
}

func sequenceOf(tb testing.TB, f frame) int64 {
	tb.Helper()
	var payload struct {
		Data struct{ Messages struct{ Sequence int64 } }
	}
	if err := json.Unmarshal(f.Payload, &payload); err != nil || f.Type != "next" {
		tb.Fatalf("an event was expected, %s %s came, %v", f.Type, f.Payload, err)
	}
	return payload.Data.Messages.Sequence
}

// metrics is all that the server says of its metrics, which it is spared to pack.
func (w *world) metrics() string {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.url+"/metrics", nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := w.http.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.tb.Fatal(err)
	}
	return string(text)
}

// metric is what the server says of one of its metrics, by its name with labels; 0 where it says
// nothing.
func (w *world) metric(name string) float64 {
	w.tb.Helper()
	_, rest, found := strings.Cut("\n"+w.metrics(), "\n"+name+" ")
	if !found {
		return 0
	}
	number, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		w.tb.Fatal(err)
	}
	return v
}

// closedWith is how many connections the server has ended with a code.
func (w *world) closedWith(code int) int {
	return int(w.metric(fmt.Sprintf(`clientele_websockets_closed_total{code="%d"}`, code)))
}

// usage is what the process holds after a collection.
func usage() (goroutines int, heap uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// Ensure a reader who does not take what is sent is disconnected with 1013 in bounded time,
// whatever else it does to seem alive; that it costs nothing after; and that who listens to the
// same stream beside it has every event at once and in order (rule N5).
func TestSlowReaders(t *testing.T) {
	const buffer = 16 << 10 // a quarter of limits.SendBufferBytes, so that it is full sooner
	for name, tt := range map[string]struct {
		readers int
		pongs   bool
		act     func(s *stalled, stop <-chan struct{})
	}{
		"never reads": {200, false, nil},
		"reads a byte at a time": {25, false, func(s *stalled, stop <-chan struct{}) {
			one := make([]byte, 1)
			for each := time.NewTicker(time.Second); ; {
				select {
				case <-each.C:
				case <-stop:
					return
				}
				if _, err := s.conn.Read(one); err != nil {
					return
				}
			}
		}},
		"answers pings and reads nothing": {25, true, func(s *stalled, stop <-chan struct{}) {
			for each := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-each.C:
				case <-stop:
					return
				}
				if err := ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewPongFrame(nil))); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.EnginesAlone(t, func(t *testing.T, dsn string) {
				w := start(t, dsn, options{sockets: func(o *transport.WebSocketOptions) {
					o.WriteTimeout, o.PingInterval, o.PongTimeout, o.SendBuffer = time.Second, time.Second, time.Second, buffer
					if !tt.pongs { // who answers no ping is gone before it is slow.
						o.PingInterval = -1
					}
				}})
				a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
				good := a.watchMessages("anna", nil)
				last := a.position("anna").Seq
				hear := func() {
					t.Helper()
					last++
					a.write("wei", longText)
					if e := good.next(); e["sequence"] != float64(last) {
						t.Fatalf("number %v came, want %d", e["sequence"], last)
					}
				}
				hear()
				goroutines, heap := usage()

				stop := make(chan struct{})
				ended := make(chan struct{}, tt.readers)
				slow := make([]*stalled, tt.readers)
				for i := range slow {
					slow[i] = w.stallSoon(w.bearer("anna", a.account))
					if tt.act != nil {
						go func() {
							tt.act(slow[i], stop)
							ended <- struct{}{}
						}()
					}
				}
				w.await("all subscriptions are open", func() bool { return w.listening() == 1+tt.readers })
				began := time.Now()
				// More than the systems of both sides hold for a connection.
				for range 4 * 2 * buffer / limits.TextBytes {
					hear()
				}
				w.await("all are disconnected", func() bool { return w.closedWith(1013) == tt.readers })
				t.Logf("%d readers were disconnected within %v", tt.readers, time.Since(began))
				close(stop)
				for _, s := range slow {
					_ = s.conn.Close()
				}
				if tt.act != nil {
					for range slow {
						testkit.Receive(t, ended)
					}
				}
				slow = nil
				const spare, spareHeap = 5, 4 << 20
				w.await("nothing of them is left", func() bool {
					n, h := usage()
					return n <= goroutines+spare && h <= heap+spareHeap
				})
				if s := w.Hub.Stats(); s.Feeds != 1 || s.Held != 0 {
					t.Errorf("the hub still has %+v", s)
				}
				hear()
			})
		})
	}
}

// Ensure a viewer whose access ends loses open subscriptions within limits.PolicyRecheck, with
// 4403, though nothing happens that they would be told of, and though they read nothing (rules V1,
// V6): the token expires, is revoked by its id or by its bearer, the advisor is removed, or must
// accept other service rules. Others stay.
func TestAccessEnds(t *testing.T) {
	const admin = "admin"
	for name, tt := range map[string]struct {
		life time.Duration // of the token by the machine's clock; 0: for ever
		end  func(a *tenant, v *auth.Viewer)
		code int
	}{
		"expired": {life: 8 * time.Second},
		"revoked": {end: func(a *tenant, v *auth.Viewer) {
			a.do(admin, `mutation($t: String!) { revokeToken(input: {tokenId: $t}) { rememberedUntil } }`, map[string]any{"t": v.TokenID})
		}},
		"revoked by advisor": {end: func(a *tenant, _ *auth.Viewer) {
			a.clock.Advance(time.Second)
			a.do(admin, `mutation { revokeTokensIssuedBefore(input: {bearer: {advisor: {openid: "anna"}}}) { issuedBefore } }`, nil)
		}},
		"revoked by subject": {end: func(a *tenant, v *auth.Viewer) {
			a.clock.Advance(time.Second)
			a.do(admin, `mutation($s: String!) { revokeTokensIssuedBefore(input: {bearer: {subject: $s}}) { issuedBefore } }`, map[string]any{"s": v.Subject})
		}},
		"removed": {end: func(a *tenant, _ *auth.Viewer) {
			if _, err := a.db.ExecContext(context.Background(), "UPDATE advisor SET state = 'REMOVED' WHERE account_id = ? AND nickname = 'anna'", a.account[:]); err != nil {
				a.tb.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, dsn string) {
				w := start(t, dsn, options{sockets: func(o *transport.WebSocketOptions) {
					o.WriteTimeout, o.SendBuffer, o.PingInterval = 4*patience, 8<<10, -1
				}})
				a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "li of ben"}}, "main")
				life := tokenLife
				if tt.life > 0 {
					life = time.Until(w.clock.Now()).Abs().Truncate(time.Second) + tt.life
				}
				token, viewer, err := w.Issuer.Issue(auth.Grant{Role: auth.RoleAdvisor, Account: a.account.String(), Subject: "openid:anna", Life: life})
				if err != nil {
					t.Fatal(err)
				}
				other := a.watchMessages("ben", nil)
				var silent []*subscription
				for _, document := range []string{"messages.graphql", "notifications.graphql"} {
					silent = append(silent, w.subscribe(token, shared(t, document), nil))
				}
				mute := w.stallWith(token)
				for range 60 {
					a.write("wei", longText)
				}
				began := time.Now()
				if tt.end != nil {
					tt.end(a, viewer)
				}
				for _, s := range silent {
					if code := s.closed(); code != 4403 {
						t.Errorf("closed with %d", code)
					}
				}
				w.await("who reads nothing is disconnected", func() bool { return w.closedWith(4403) == 3 })
				if took := time.Since(began); took > tt.life+limits.PolicyRecheck+slack {
					t.Errorf("it took %v", took)
				}
				if tt.end != nil {
					if code := w.ask(token, `{ viewer { role } }`, nil).code(); code != "UNAUTHENTICATED" && name != "removed" {
						t.Errorf("a request is answered %q", code)
					}
				}
				_ = mute.conn.Close()
				a.write("li", "hello")
				if e := other.next(); e["__typename"] != "MessageReceived" {
					t.Errorf("another advisor hears %v", e)
				}
			})
		})
	}
}

// Ensure a new version of the service rules ends open subscriptions to messages, and those alone,
// without an event (rule V7).
func TestNewRulesEndSilentSubscriptions(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		messages, notifications := a.watchMessages("anna", nil), a.watchNotifications("anna", nil)
		w.clock.Advance(time.Second)
		a.do("admin", `mutation { updateAccountSettings(input: {serviceRulesVersion: "9"}) { account { id } } }`, nil)
		if code := messages.closed(); code != 4403 {
			t.Errorf("closed with %d", code)
		}
		a.do("anna", `mutation { acceptServiceRules(input: {version: "9"}) { advisor { id } } }`, nil)
		a.follow("wei", a.names["scene anna"])
		if e := notifications.next(); e["__typename"] != "NotificationMade" {
			t.Errorf("the other subscription hears %v", e)
		}
	})
}
