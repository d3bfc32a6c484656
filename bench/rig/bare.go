package rig

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// Bare is the floor of everything that has to do with connections: a process that accepts them,
// keeps one goroutine with a stack of 4 KiB for each, and writes frames to them when it is told to.
type Bare struct{ *Helper }

// StartBare starts it. Stop it.
func StartBare(ctx context.Context, stamps *Stamps) (*Bare, error) {
	var env []string
	if stamps != nil {
		env = append(env, stampsEnv+"="+stamps.file)
	}
	h, err := startHelper(ctx, "bare", env)
	return &Bare{h}, err
}

// Write has it write frame i to every connection of the group i modulo the number of groups, n
// times, rate times a second; 0: as fast as it can. A frame has size bytes of text that begins as a
// pushed message's does. Before each it notes the instant.
func (b *Bare) Write(n, rate, groups, size int) error {
	_, err := fmt.Fprintf(b.in, "write %d %d %d %d\n", n, rate, groups, size)
	return err
}

// GreetBare connects to it and asks for n frames of size bytes at once.
func GreetBare(ctx context.Context, addr string, source net.Addr, n, size int) (*Socket, error) {
	return dialBare(ctx, addr, source, fmt.Sprintf("0 %d %d\n", n, size))
}

func dialBare(ctx context.Context, addr string, source net.Addr, greeting string) (*Socket, error) {
	d := net.Dialer{Timeout: dialTime, LocalAddr: source}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Socket{conn: conn, in: bufio.NewReaderSize(conn, readBuffer)}
	if _, err = conn.Write([]byte(greeting)); err == nil {
		// It has the connection in its group when it answers.
		_, err = s.in.ReadByte()
	}
	return s, err
}

// DialBare opens n connections to it, in groups.
func DialBare(ctx context.Context, addr string, n, groups int) ([]*Socket, error) {
	return dialAll(ctx, n, func(i int, source net.Addr) (*Socket, error) {
		return dialBare(ctx, addr, source, fmt.Sprintf("%d 0 0\n", i%groups))
	})
}

// bareConns are the connections of the bare server, by group.
type bareConns struct {
	mu     sync.Mutex
	groups map[int][]net.Conn
}

func bare(ctx context.Context) error {
	var stamps *Stamps
	if name := os.Getenv(stampsEnv); name != "" {
		var err error
		if stamps, err = openStamps(name); err != nil {
			return err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	all := &bareConns{groups: map[int][]net.Conn{}}
	go all.command(ctx, stamps)
	Ready(l.Addr().String())
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was closed.
		}
		if err != nil {
			return err
		}
		go all.hold(conn)
	}
}

// hold is the goroutine of a connection. The array makes its stack 4 KiB.
func (all *bareConns) hold(conn net.Conn) {
	var pad [2560]byte
	n, err := conn.Read(pad[:])
	if err != nil {
		return
	}
	var group, frames, size int
	if _, err := fmt.Sscanf(string(pad[:n]), "%d %d %d", &group, &frames, &size); err != nil {
		return
	}
	all.mu.Lock()
	all.groups[group] = append(all.groups[group], conn)
	all.mu.Unlock()
	if _, err := conn.Write([]byte{'\n'}); err != nil {
		return
	}
	for i := range frames {
		if _, err := conn.Write(framePattern(size)(i)); err != nil {
			return
		}
	}
	for {
		if _, err := conn.Read(pad[:]); err != nil {
			_ = conn.Close()
			return
		}
	}
}

func (all *bareConns) command(ctx context.Context, stamps *Stamps) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var n, rate, groups, size int
		if _, err := fmt.Sscanf(lines.Text(), "write %d %d %d %d", &n, &rate, &groups, &size); err != nil {
			continue
		}
		frames := framePattern(size)
		if rate > 0 {
			Pace(ctx, n, rate, func(i int, _ time.Time) { all.write(i, groups, frames, stamps) })
			continue
		}
		for i := range n {
			all.write(i, groups, frames, stamps)
		}
	}
}

// framePattern makes frame i: a text frame that carries the number as a pushed message does.
func framePattern(size int) func(i int) []byte {
	return func(i int) []byte {
		text := fmt.Appendf(make([]byte, 0, size), `{"id":"1","type":"next","payload":{"text":"`+TextPrefix+`%d `, i)
		for len(text) < size-3 {
			text = append(text, '.')
		}
		return ws.MustCompileFrame(ws.NewTextFrame(append(text, `"}}`...)))
	}
}

func (all *bareConns) write(i, groups int, frame func(int) []byte, stamps *Stamps) {
	bytes := frame(i)
	all.mu.Lock()
	conns := all.groups[i%groups]
	all.mu.Unlock()
	if stamps != nil {
		stamps.Set(i, time.Now())
	}
	for _, c := range conns {
		_, _ = c.Write(bytes) // one that has gone has its goroutine to see it.
	}
}
