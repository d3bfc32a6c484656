package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that the rig started.
type Process struct {
	name string
	cmd  *exec.Cmd
	// ended is closed when it has; err is set before.
	ended chan struct{}
	err   error
}

// stopTime is how long a program may take to end when it is asked to: a database writes its
// buffers. Then it is killed.
const stopTime = 2 * time.Minute

// startProcess runs a program. The thread that starts it waits for it, since the kernel ties the
// child's life to that thread.
func startProcess(name string, cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = attributes()
	p := &Process{name: name, cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end and waits until it has.
func (p *Process) Stop() error {
	select {
	case <-p.ended:
		return errors.Join(fmt.Errorf("%s had ended already", p.name), p.err)
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	t := time.NewTimer(stopTime)
	defer t.Stop()
	select {
	case <-p.ended:
		return p.err
	case <-t.C:
		return errors.Join(fmt.Errorf("%s did not end and was killed", p.name), p.cmd.Process.Kill())
	}
}

// CPU is how long a process has computed, in user and system mode, since it began; 0 for process 0.
func CPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime, ticks = 11, 12, 100 // the kernel shows 100 ticks a second on every machine we know.
	if len(fields) <= stime {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	u, err := strconv.ParseInt(fields[utime], 10, 64)
	s, err2 := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(u+s) * time.Second / ticks, errors.Join(err, err2)
}

// PSS is a process's proportional share of memory, in bytes.
func PSS(pid int) (int64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/PID/smaps_rollup has no Pss")
}

// tail keeps the last bytes written to it: the words of a process that failed.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// lines are what a process prints, line by line.
func lines(r io.Reader) <-chan string {
	out := make(chan string, 16)
	go func() {
		defer close(out)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			select {
			case out <- scanner.Text():
			default: // nobody asks any more, and the writer must not wait.
			}
		}
	}()
	return out
}

// awaitLine is the rest of the first line that begins with prefix.
func awaitLine(ctx context.Context, printed <-chan string, prefix string, ended <-chan struct{}) (string, error) {
	for {
		select {
		case line, ok := <-printed:
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest, nil
			}
			if !ok {
				return "", errors.New("it closed its output")
			}
		case <-ended:
			return "", errors.New("it ended at once")
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
