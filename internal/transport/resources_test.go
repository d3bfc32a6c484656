package transport_test

import (
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/internal/transport"
)

// TestMalformedOpenings leaves nothing behind, whatever a thousand clients begin with.
func TestMalformedOpenings(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{InitTimeout: 50 * time.Millisecond})
	openings := []string{
		`{"type":"connection_init","payload":"x"}`, `{"type":"connection_init","payload":1}`, `nonsense`, `{}`, `[]`,
		`{"type":"subscribe","id":"1","payload":{"query":"{viewer}"}}`, `{"type":"complete"}`, "", "\xff",
	}
	open := func(i int) {
		var conn net.Conn
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := s.upgrade(t, subprotocol, conn)
		switch opening := openings[i%len(openings)]; opening {
		case "":
			// Says nothing, and is closed after InitTimeout.
		case "\xff":
			c.raw([]byte{0xff, 0xff, 0xff})
		default:
			c.send(opening)
		}
		if i%2 == 0 {
			_ = conn.Close()
			return
		}
		for {
			if _, _, err := c.next(); err != nil {
				break
			}
		}
		_ = conn.Close()
	}
	open(0)
	<-s.closes
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	const n = 1000
	for i := range n {
		open(i)
	}
	for range n {
		select {
		case <-s.closes:
		case <-time.After(patience):
			t.Fatal("a connection was not closed")
		}
	}
	eventually(t, "no files are left", func() bool { return openFiles(t) <= files })
	eventually(t, "no goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "nobody is counted", func() bool { return s.ws.Strangers() == 0 })
}

// TestStalledReader has clients that stop reading while events come for them: they are closed in bounded time, and the others notice nothing.
func TestStalledReader(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{WriteTimeout: 100 * time.Millisecond})
	good := s.connect(t)
	good.subscribe("a", "subscription{ticks}")
	// Two with parked subscriptions, and then one whose channel never waits.
	for i, query := range []string{"subscription{ticks(size:60000)}", "subscription{ticks(size:60000)}", "subscription{count(to:1000000000)}"} {
		if i == 2 {
			eventually(t, "all are parked", func() bool { return s.stream.attached() == 3 })
		}
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if err = conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		c, _ := s.upgrade(t, subprotocol, conn)
		c.send(`{"type":"connection_init"}`)
		c.want(`{"type":"connection_ack"}`)
		c.subscribe("a", query)
	}
	started := time.Now()
	// More than the buffers of both kernels hold.
	const events = 400
	s.stream.push(events)
	for n := 1; n <= events; n++ {
		good.want(tick("a", n))
	}
	for range 3 {
		wantCode(t, s.closes, 1013)
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Fatalf("took %v", took)
	}
	s.stream.push(1)
	good.want(tick("a", events+1))
	eventually(t, "their sources are closed", func() bool { return s.stream.attached() == 1 })
}

// TestDripReader has a client that takes a little all the time, but one message not within WriteTimeout: it is closed like one that takes
// nothing. The time is the message's, however many writes the system makes of it.
func TestDripReader(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{WriteTimeout: 300 * time.Millisecond, SendBuffer: 16 << 10})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err = conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	c, _ := s.upgrade(t, subprotocol, conn)
	c.send(`{"type":"connection_init"}`)
	c.want(`{"type":"connection_ack"}`)
	c.subscribe("a", "subscription{ticks(size:16000000)}")
	eventually(t, "it is parked", func() bool { return s.stream.attached() == 1 })
	s.stream.push(1)
	// At this pace the message takes a minute.
	const drip, pause = 4096, 15 * time.Millisecond
	each := time.NewTicker(pause)
	defer each.Stop()
	taken, buf := 0, make([]byte, drip)
	for started := time.Now(); ; {
		<-each.C
		n, err := conn.Read(buf)
		taken += n
		if err != nil {
			break
		}
		if time.Since(started) > patience {
			t.Fatalf("still connected after %d bytes", taken)
		}
	}
	if taken < 2*drip {
		t.Errorf("only %d bytes came: nothing dripped", taken)
	}
	wantCode(t, s.closes, 1013)
}

// TestStoppedBeforeBegun has a client that takes back what it has asked for before anybody has looked at it, again and again: nothing of it is kept.
func TestStoppedBeforeBegun(t *testing.T) {
	// The first is held for as long as a slow machine takes: its own time must not end before.
	s := serve(t, transport.WebSocketOptions{Timeout: time.Hour})
	entered, release := make(chan struct{}, 1), make(chan struct{})
	s.gql.Use(mutator(func() *gqlerror.Error {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
		return nil
	}))
	c := s.connect(t)
	c.subscribe("first", "{viewer}")
	<-entered
	const n, size = 100, 200_000
	kept := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, padding := kept(), strings.Repeat(" ", size)
	for range n {
		c.send(`{"id":"x","type":"subscribe","payload":{"query":"`+padding+`{viewer}"}}`, `{"id":"x","type":"complete"}`)
	}
	c.subscribe("last", "{viewer}")
	c.send(`{"type":"ping"}`)
	c.want(`{"type":"pong"}`)
	if after := kept(); after > before+n*size/4 {
		t.Errorf("%d bytes are kept of %d operations that nobody wants", after-before, n)
	}
	close(release)
	for range 4 { // of both operations, in any order
		c.read()
	}
}

// TestStalledReaderAtShutdown has a client that does not read while the server closes.
func TestStalledReaderAtShutdown(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err = conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	c, _ := s.upgrade(t, subprotocol, conn)
	c.send(`{"type":"connection_init"}`)
	c.want(`{"type":"connection_ack"}`)
	c.subscribe("a", `subscription{ticks(size:60000)}`)
	s.stream.push(1000)
	c.read()
	started := time.Now()
	if err := s.ws.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Fatalf("a shutdown waited %v for a client that does not read", took)
	}
	wantCode(t, s.closes, 1012)
}

// openIdle opens n connections with a parked subscription each.
func openIdle(tb testing.TB, s *server, n int) []*client {
	tb.Helper()
	clients := make([]*client, n)
	for i := range clients {
		c := s.connect(tb)
		c.send(`{"type":"subscribe","id":"7d7a1b3e-58c5-4b9e-8f0d-6f4a0c0f2a11","payload":{"query":"subscription Ticks($after:Int){ticks(after:$after)}",` +
			`"variables":{"after":0}}}`)
		clients[i] = c
	}
	eventually(tb, "all are parked", func() bool { return s.stream.attached() == n })
	return clients
}

func TestGoroutines(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	openIdle(t, s, 1)
	settle := func() int {
		last := -1
		eventually(t, "the number of goroutines is stable", func() bool {
			now := runtime.NumGoroutine()
			stable := now == last
			last = now
			return stable
		})
		return last
	}
	before := settle() // one of them may be a pump that is idle for a moment
	const n = 200
	one := func() bool { now := runtime.NumGoroutine(); return now == before+n || now == before+n-1 }
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = s.connect(t)
		clients[i].subscribe("a", "subscription{ticks}")
		clients[i].subscribe("b", "subscription{ticks}")
	}
	eventually(t, "one goroutine a connection", one)
	s.stream.push(3)
	for _, c := range clients {
		for range 6 {
			c.read()
		}
	}
	eventually(t, "one goroutine a connection after events", one)
}

// BenchmarkIdle reports the memory of a connection with one parked subscription, the client's end (a net.Conn and 512 bytes) included.
func BenchmarkIdle(b *testing.B) {
	const n = 1000
	for range b.N {
		s := serve(b, transport.WebSocketOptions{})
		var before, after runtime.MemStats
		debug.FreeOSMemory()
		runtime.ReadMemStats(&before)
		clients := openIdle(b, s, n)
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-before-gc/conn")
		debug.FreeOSMemory()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/conn")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
		runtime.KeepAlive(clients)
	}
}

// BenchmarkPush pushes one event to one client.
func BenchmarkPush(b *testing.B) {
	s := serve(b, transport.WebSocketOptions{})
	c := s.connect(b)
	c.subscribe("a", "subscription{ticks}")
	eventually(b, "it is parked", func() bool { return s.stream.attached() == 1 })
	b.ReportAllocs()
	for b.Loop() {
		s.stream.push(1)
		if op, _, err := c.next(); err != nil || op != ws.OpText {
			b.Fatal(op, err)
		}
	}
}

// FuzzMessages feeds a connection with messages. It may close it, never more.
func FuzzMessages(f *testing.F) {
	s := serve(f, transport.WebSocketOptions{})
	for _, seed := range []string{
		`{"type":"ping"}`, `{"type":"subscribe","id":"1","payload":{"query":"{viewer}"}}`, `{"type":"complete","id":"1"}`, `{"id":{}}`, `[`, "",
		`{"type":"subscribe","id":"1","payload":{"query":"subscription{ticks}","variables":{"a":[1,{"b":null}]}}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		c := s.connect(t)
		c.send(message)
		c.frame(ws.OpPing, true, "end")
		for {
			op, payload, err := c.next()
			if err != nil || op == ws.OpPong && string(payload) == "end" {
				break
			}
			if op == ws.OpText && !strings.HasPrefix(string(payload), "{") {
				t.Fatalf("got %s", payload)
			}
		}
		_ = c.conn.Close()
		<-s.closes
	})
}
