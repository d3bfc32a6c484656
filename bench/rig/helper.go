package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"clientele/internal/app"
	"clientele/internal/config"
	"clientele/models"
)

// The environment of a helper: this same program, started as something else.
const (
	helperEnv  = "CLIENTELE_BENCH_HELPER" // what it is to be
	stampsEnv  = "CLIENTELE_BENCH_STAMPS" // the file of Stamps
	profileEnv = "CLIENTELE_BENCH_PROFILE"
)

var helpers = map[string]func(context.Context) error{"product": product, "bare": bare}

// AddHelper names another thing that this program can be started as, before Main is called.
func AddHelper(name string, run func(context.Context) error) { helpers[name] = run }

// Main turns a process that the rig started into the helper that it is to be, and returns in every
// other. It is called before anything else.
func Main() {
	run, ok := helpers[os.Getenv(helperEnv)]
	if !ok {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// product serves as `clientele serve` does, from the same settings, and beside it notes when each
// COMMIT returned, or answers for profiles, or both.
func product(ctx context.Context) error {
	var settings struct{ config.Server }
	parser, err := kong.New(&settings, config.Options()...)
	if err != nil {
		return err
	}
	if _, err := parser.Parse(nil); err != nil {
		return err
	}
	if os.Getenv(profileEnv) != "" {
		address, err := serveProfiles(ctx)
		if err != nil {
			return err
		}
		fmt.Println(profilesLine + address)
	}
	a, err := app.Open(ctx, app.Options{Settings: settings.Server, Log: settings.NewLogger(os.Stderr)})
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // the process ends.
	if name := os.Getenv(stampsEnv); name != "" {
		stamps, err := openStamps(name)
		if err != nil {
			return err
		}
		a.Store.OnCommit(func(events []models.Event) {
			now := time.Now()
			for i := range events {
				if p := events[i].Primed; p != nil && p.Message != nil {
					stamps.Set(textNumber(p.Message.Text), now)
				}
			}
			a.Hub.Committed(events)
		})
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", settings.Addr)
	if err != nil {
		return err
	}
	return a.Serve(ctx, l, func() { Ready(l.Addr().String()) })
}

// What the helpers print before their addresses; serve prints readyLine too.
const (
	readyLine    = "ready http://"
	profilesLine = "profiles http://"
)

// The rates of the sampling profiles: one in so many contended locks, and one blocking of so many
// nanoseconds. Neither is seen in the figures.
const (
	mutexRate = 20
	blockRate = 100_000
)

func serveProfiles(ctx context.Context) (string, error) {
	runtime.SetMutexProfileFraction(mutexRate)
	runtime.SetBlockProfileRate(blockRate)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	go func() { _ = http.Serve(l, mux) }()
	return l.Addr().String(), nil
}

// textNumber is the number in the text of a posted message; -1 for another.
func textNumber(text string) int {
	rest, ok := strings.CutPrefix(text, TextPrefix)
	if !ok {
		return -1
	}
	n := 0
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
		return -1
	}
	return n
}

// Ready is what a helper says once it answers at HOST:PORT.
func Ready(addr string) { fmt.Println(readyLine + addr) }

// helper is the command that starts this program as a helper.
func helper(name string, env []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self) // this program; Stop ends it, in order.
	cmd.Env = append(append(os.Environ(), helperEnv+"="+name), env...)
	return cmd, nil
}

// Helper is a process of this program that is something else.
type Helper struct {
	// Addr is HOST:PORT.
	Addr    string
	process *Process
	in      io.WriteCloser
}

// StartHelper starts the helper of a name with variables of its environment. Stop it.
func (r *Rig) StartHelper(ctx context.Context, name string, env ...string) (*Helper, error) {
	return startHelper(ctx, name, env)
}

func startHelper(ctx context.Context, name string, env []string) (*Helper, error) {
	cmd, err := helper(name, env)
	if err != nil {
		return nil, err
	}
	h, words := &Helper{}, &tail{}
	cmd.Stderr = words
	if h.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = in
	h.process, err = startProcess(name, cmd)
	_ = in.Close() // the process has its own
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	printed := lines(out)
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if h.Addr, err = awaitLine(ctx, printed, readyLine, h.process.ended); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w\n%s", name, err, words), h.Stop())
	}
	return h, nil
}

// PID is its process.
func (h *Helper) PID() int { return h.process.PID() }

// Stop ends it.
func (h *Helper) Stop() error { return h.process.Stop() }
