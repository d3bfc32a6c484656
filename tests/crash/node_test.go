package crash

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
)

// node is one `clientele serve`, which can be killed and started again.
type node struct {
	rig                     *rig
	name, binary, dsn, data string
	environment             []string
	output                  *output   // of the present start
	outputs                 []*output // of all
	process                 *testkit.Process

	mu  sync.RWMutex
	url string
}

// start starts it and returns when it serves. Each start has an address of its own.
func (n *node) start(tb testing.TB) {
	tb.Helper()
	n.output = &output{ready: make(chan string, 1)}
	n.outputs = append(n.outputs, n.output)
	n.process = testkit.StartProcess(tb, n.output, n.environment, n.binary, "serve", "--addr=127.0.0.1:0",
		"--db="+n.dsn, "--data="+n.data, "--token-secrets="+tokenSecret, "--master-keys=crash="+strings.Repeat("5a", 32),
		"--sandbox-url="+n.rig.platform.URL, "--log-level=info", "--shutdown-grace=30s")
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case url := <-n.output.ready:
		n.mu.Lock()
		defer n.mu.Unlock()
		n.url = url
	case <-n.process.Done():
		tb.Fatalf("%s ended at once:\n%s", n.name, n.output.tail())
	case <-late.C:
		tb.Fatalf("%s does not serve:\n%s", n.name, n.output.tail())
	}
}

// address is where it serves now, or served last.
func (n *node) address() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.url
}

// output is what a node wrote.
type output struct {
	ready chan string
	mu    sync.Mutex
	text  bytes.Buffer
	told  bool
}

// Write takes what the process writes.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.told {
		return len(p), nil
	}
	for line := range strings.Lines(o.text.String()) {
		if url, ok := strings.CutPrefix(line, "ready "); ok && strings.HasSuffix(url, "\n") {
			o.told = true
			o.ready <- strings.TrimSpace(url)
			break
		}
	}
	return len(p), nil
}

// tail is the end of it.
func (o *output) tail() string {
	const most = 4_000
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(0, len(text)-most):]
}

// failures counts what all starts of the node logged as errors, and what they panicked with.
func (n *node) failures() map[string]int {
	found := map[string]int{}
	for _, o := range n.outputs {
		o.mu.Lock()
		for line := range strings.Lines(o.text.String()) {
			var logged struct{ Level, Msg, Error, Reason string }
			switch {
			case strings.HasPrefix(line, "panic:"), strings.HasPrefix(line, "fatal error:"), strings.HasPrefix(line, "clientele:"):
				found[strings.TrimSpace(line)]++
			case json.Unmarshal([]byte(line), &logged) == nil && logged.Level == "ERROR":
				found[strings.TrimSpace(logged.Msg+": "+logged.Error+logged.Reason)]++
			}
		}
		o.mu.Unlock()
	}
	return found
}
