package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// demoProcess, in the environment, makes the test's own binary the program.
const demoProcess = "CLIENTELE_TEST_DEMO_PROCESS"

// TestDemoProcess is the program for TestDemoCommand, and nothing otherwise.
func TestDemoProcess(t *testing.T) {
	if os.Getenv(demoProcess) == "" {
		return
	}
	os.Args = []string{"clientele", "demo", "--addr", "127.0.0.1:0", "--customers", "3", "--seed=-5"}
	main()
	os.Exit(0) // the testing package would write to an output that is closed.
}

// Ensure the command says when it is ready, ends with exit code 0 when it is interrupted or
// nobody reads it any more, and leaves nothing behind.
func TestDemoCommand(t *testing.T) {
	for name, end := range map[string]func(*os.Process, io.Closer) error{
		"interrupted": func(p *os.Process, _ io.Closer) error { return p.Signal(os.Interrupt) },
		"not read":    func(_ *os.Process, out io.Closer) error { return out.Close() },
	} {
		t.Run(name, func(t *testing.T) { testDemoCommand(t, end) })
	}
}

func testDemoCommand(t *testing.T, end func(*os.Process, io.Closer) error) {
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDemoProcess$")
	c.Env = append(os.Environ(), demoProcess+"=1", "TMPDIR="+dir)
	var log bytes.Buffer
	c.Stderr = &log
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "ready http://127.0.0.1:") {
			ready = true
			if err := end(c.Process, out); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Wait(); err != nil || !ready {
		t.Errorf("ready: %v; end: %v", ready, err)
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}
