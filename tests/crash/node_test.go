package crash

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"clientele/internal/testkit"
)

// node is one `clientele serve`, which can be killed and started again.
type node struct {
	rig                     *rig
	name, binary, dsn, data string
	environment             []string
	output                  *testkit.Output   // of the present start
	outputs                 []*testkit.Output // of all
	process                 *testkit.Process

	mu  sync.RWMutex
	url string
}

// start starts it and returns when it serves. Each start has an address of its own.
func (n *node) start(tb testing.TB) {
	tb.Helper()
	n.output = testkit.NewOutput()
	n.outputs = append(n.outputs, n.output)
	n.process = testkit.StartProcess(tb, n.output, n.environment, n.binary, "serve", "--addr=127.0.0.1:0",
		"--db="+n.dsn, "--data="+n.data, "--token-secrets="+tokenSecret, "--master-keys=crash="+strings.Repeat("5a", 32),
		"--sandbox-url="+n.rig.platform.URL, "--webhook-private", "--log-level=info", "--shutdown-grace=30s")
	url := n.output.Await(tb, n.process, patience)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.url = url
}

// address is where it serves now, or served last.
func (n *node) address() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.url
}

// failures counts what all starts of the node logged as errors, and what they panicked with.
func (n *node) failures() map[string]int {
	found := map[string]int{}
	for _, o := range n.outputs {
		for line := range strings.Lines(o.String()) {
			var logged struct{ Level, Msg, Error, Reason string }
			switch {
			case strings.HasPrefix(line, "panic:"), strings.HasPrefix(line, "fatal error:"), strings.HasPrefix(line, "clientele:"):
				found[strings.TrimSpace(line)]++
			case json.Unmarshal([]byte(line), &logged) == nil && logged.Level == "ERROR":
				found[strings.TrimSpace(logged.Msg+": "+logged.Error+logged.Reason)]++
			}
		}
	}
	return found
}
