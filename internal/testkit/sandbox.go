package testkit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Sandbox is a process that stands for the platform (internal/testkit/cmd/sandboxd).
type Sandbox struct {
	// URL is the endpoint to give to channels/sandbox.
	URL string
	// File is what it has taken.
	File string
	stop func() error
}

// Taken is one line of a Sandbox's file.
type Taken struct {
	Account, OpenID, MessageID, Kind, Text string
}

// sandboxProgram is the built program, made once a process.
var sandboxProgram struct {
	sync.Mutex
	dir string
	err error
}

func buildSandbox() (path string, err error) {
	p := &sandboxProgram
	p.Lock()
	defer p.Unlock()
	if p.dir == "" && p.err == nil {
		if p.dir, p.err = os.MkdirTemp("", "clientele-sandboxd-"); p.err == nil {
			c := exec.Command("go", "build", "-o", p.dir, "clientele/internal/testkit/cmd/sandboxd")
			// As whoever builds the product, so that what both need is compiled once.
			c.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := c.CombinedOutput(); err != nil {
				p.err = fmt.Errorf("build sandboxd: %w\n%s", err, out)
			}
		}
	}
	return filepath.Join(p.dir, "sandboxd"), p.err
}

func removeSandbox() error {
	p := &sandboxProgram
	p.Lock()
	defer p.Unlock()
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

// StartSandbox starts a Sandbox with these flags beside -file, which appends to file; it ends with
// Stop, with the test, or with this process, whichever comes first.
func StartSandbox(tb testing.TB, file string, flags ...string) *Sandbox {
	tb.Helper()
	program, err := buildSandbox()
	if err != nil {
		tb.Fatal(err)
	}
	c := exec.Command(program, append([]string{"-file", file}, flags...)...) // our own; it ends with its input.
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	s := &Sandbox{File: file, stop: sync.OnceValue(func() error {
		_ = in.Close()
		return c.Wait()
	})}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("sandboxd: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("sandboxd did not start: %v", err)
	}
	s.URL = strings.TrimSpace(line)
	return s
}

// Stop ends the process. It may be called again.
func (s *Sandbox) Stop() error { return s.stop() }

// Lines is what it has taken, in order.
func (s *Sandbox) Lines(tb testing.TB) []Taken {
	tb.Helper()
	text, err := os.ReadFile(s.File)
	if err != nil {
		tb.Fatal(err)
	}
	var all []Taken
	for line := range bytes.Lines(text) {
		var taken Taken
		if err := json.Unmarshal(line, &taken); err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		all = append(all, taken)
	}
	return all
}
