package services

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/store"
)

// Ensure a batch that meets no database fails as a whole, once, and not each of its items after it; and that what the driver has to
// say of lost connections stands in the log and not beside it.
func TestBatchWithoutDatabaseIsNotSplit(t *testing.T) {
	way := newWay(t, testkit.MySQL(t))
	var log, ofStore bytes.Buffer
	s, err := store.Open(t.Context(), store.Options{DSN: way.dsn, Strict: true, Log: slog.New(slog.NewTextHandler(&ofStore, nil))})
	if err != nil {
		t.Fatal(err)
	}
	h := &teahouse{store: s, account: testkit.Account(t, s)}
	h.Services = New(Deps{Store: s, Hub: events.New(s.Log(), events.Options{}), Log: slog.New(slog.NewTextHandler(&log, nil))})
	way.close()
	items := h.texts(8, "away")
	h.processInbound(t.Context(), h.account.Key, items)
	for i, it := range items {
		if !store.Unreachable(it.err) {
			t.Errorf("item %d: %v", i, it.err)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "items=8") {
		t.Errorf("it was tried %d times:\n%s", lines, log.String())
	}
	_ = s.Close() // its connections are gone, and it says so.
	if !strings.Contains(ofStore.String(), "closing bad idle connection") {
		t.Errorf("the driver did not log:\n%s", ofStore.String())
	}
}

// way leads to a database until it is closed.
type way struct {
	dsn      string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
}

func newWay(t *testing.T, dsn string) *way {
	t.Helper()
	path := filepath.Join(t.TempDir(), "way")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	to := regexp.MustCompile(`@(\w+)\(([^)]*)\)`).FindStringSubmatch(dsn)
	w := &way{dsn: strings.Replace(dsn, to[0], "@unix("+path+")", 1), listener: listener}
	t.Cleanup(w.close)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(to[1], to[2])
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			go func() { _, _ = io.Copy(far, near) }()
			go func() { _, _ = io.Copy(near, far) }()
		}
	}()
	return w
}

func (w *way) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
}
