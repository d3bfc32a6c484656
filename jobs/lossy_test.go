package jobs_test

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"sync/atomic"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
)

// lossy is a way to a MySQL server that loses the answers to some COMMITs.
type lossy struct {
	network, address string
	// lose is how many of the next COMMITs happen and are not answered.
	lose atomic.Int64
	// lost is how many that were.
	lost atomic.Int64
}

var dsnAddress = regexp.MustCompile(`@([a-z]+)\(([^)]*)\)`)

// startLossy answers a way, and the DSN that goes by it.
func startLossy(t *testing.T, dsn string) (*lossy, string) {
	t.Helper()
	parts := dsnAddress.FindStringSubmatch(dsn)
	if parts == nil {
		t.Fatal("a DSN without an address")
	}
	l := &lossy{network: parts[1], address: parts[2]}
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(client)
		}
	}()
	return l, dsnAddress.ReplaceAllString(dsn, "@tcp("+listener.Addr().String()+")")
}

// carry copies both ways until one end closes.
func (l *lossy) carry(client net.Conn) {
	defer client.Close()
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), l.network, l.address)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		defer client.Close()
		defer server.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if cut.Load() { // the COMMIT has happened
				l.lost.Add(1)
				return
			}
			if _, failed := client.Write(buffer[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	commit := []byte("\x07\x00\x00\x00\x03COMMIT") // a packet: its length, its number, a query
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if bytes.Equal(buffer[:n], commit) && l.lose.Add(-1) >= 0 {
			cut.Store(true)
		}
		if _, failed := server.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// Ensure a worker whose COMMITs are lost goes on with what they claimed: each message reaches the
// channel once, in order, and all are SENT.
func TestCommitsLost(t *testing.T) {
	dsn := testkit.MySQL(t)
	clock := testkit.NewClock()
	way, through := startLossy(t, dsn)
	var got []models.Key
	ch := sending(func(_ context.Context, _ *models.Account, _ models.Ident, m *models.Message) error {
		got = append(got, m.Key)
		way.lose.Store(1) // that which records this message
		return nil
	})
	n := newNode(t, testkit.Store(t, through, clock), ch)
	sh := newShop(t, n.store, 1)
	var sent []*models.Message
	for range 3 {
		sent = append(sent, sh.send(n, 0))
	}
	way.lose.Store(1)
	claim := sh.claim(n, 0)
	for range sent {
		done, next := sh.deliver(n, claim)
		if done.Status != models.StatusSent {
			t.Errorf("%+v", done)
		}
		claim = next
	}
	if claim != nil || sh.waiting() != 0 || way.lost.Load() != 4 {
		t.Errorf("left %v, %d wait, %d COMMITs were lost", claim, sh.waiting(), way.lost.Load())
	}
	for i, m := range sent {
		if sh.status(m) != "SENT" || len(got) != len(sent) || got[i] != m.Key {
			t.Errorf("message %d is %s; the channel got %v", i, sh.status(m), got)
		}
	}
}
