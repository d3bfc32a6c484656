package testkit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Process is a program that a test runs and kills. It ends with the test, and with the process
// of the tests, however that one ends.
type Process struct {
	cmd   *exec.Cmd
	guard *exec.Cmd
	// held is what the guard reads: it ends when this process does.
	held io.Closer
	done chan struct{}
}

// processGuard kills process $1 once its own input ends.
const processGuard = `read -r _; kill -9 "$1"`

// StartProcess starts a program; output takes both of its outputs. Extra is added to the
// environment, each "NAME=value".
func StartProcess(tb testing.TB, output io.Writer, extra []string, program string, args ...string) *Process {
	tb.Helper()
	p := &Process{cmd: exec.Command(program, args...), done: make(chan struct{})} // it is what we are for, and is killed.
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = output, output, append(os.Environ(), extra...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends the tests first, and it by that.
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", program, err)
	}
	tb.Cleanup(p.Kill)
	p.guard = exec.Command("sh", "-c", processGuard, "sh", strconv.Itoa(p.cmd.Process.Pid)) // it ends with its input.
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	held, err := p.guard.StdinPipe()
	if err == nil {
		p.held, err = held, p.guard.Start()
	}
	if err != nil {
		p.guard = nil
		tb.Errorf("guard %s: %v", program, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is the test's question, which sees what it wrote.
		close(p.done)
	}()
	return p
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the program at once, as `kill -9` does, and returns when it is gone. It may be called
// again.
func (p *Process) Kill() {
	p.unguard()
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the program to end and returns when it has; an error when it did not end well in
// time, and had to be killed if need be.
func (p *Process) Stop(patience time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.done:
		p.unguard()
	case <-late.C:
		p.Kill()
		return fmt.Errorf("it did not end within %s", patience)
	}
	if state := p.cmd.ProcessState; !state.Success() {
		return fmt.Errorf("it ended with %s", state)
	}
	return nil
}

// unguard ends the guard before its process number can be another's.
func (p *Process) unguard() {
	if p.guard == nil {
		return
	}
	_ = p.guard.Process.Kill()
	_ = p.held.Close()
	_ = p.guard.Wait()
	p.guard = nil
}
