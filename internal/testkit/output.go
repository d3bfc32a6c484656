package testkit

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Output keeps what a `clientele serve` or `clientele demo` writes, on both of its outputs. Make one
// with NewOutput for each start. It is safe for concurrent use.
type Output struct {
	ready chan string
	mu    sync.Mutex
	text  bytes.Buffer
	told  bool
}

// NewOutput is an Output that nothing was written to.
func NewOutput() *Output { return &Output{ready: make(chan string, 1)} }

// Write takes what the process writes; it never fails.
func (o *Output) Write(p []byte) (int, error) {
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

// Await is the address at which the process that writes here serves, once it does. The test
// fails when it ends, or does not serve in time. It may be called once.
func (o *Output) Await(tb testing.TB, p *Process, patience time.Duration) (url string) {
	tb.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case url = <-o.ready:
	case <-p.Done():
		tb.Fatalf("it ended at once:\n%s", o.Tail())
	case <-late.C:
		tb.Fatalf("it does not serve:\n%s", o.Tail())
	}
	return url
}

// String is all that was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Tail is the end of it, for people: at most 4,000 bytes.
func (o *Output) Tail() string {
	const most = 4_000
	text := o.String()
	return text[max(0, len(text)-most):]
}
