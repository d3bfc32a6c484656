package rig

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Line is a line of figures: the program's name, then key=value in the order they were added.
// Values with blanks are quoted.
type Line struct {
	b       strings.Builder
	figures map[string]string
	times   map[string][]int64
}

// NewLine begins a line.
func NewLine(program string) *Line {
	l := &Line{figures: map[string]string{}, times: map[string][]int64{}}
	l.b.WriteString(program)
	return l
}

// Add adds a figure.
func (l *Line) Add(key string, value any) *Line {
	text := ""
	switch v := value.(type) {
	case float64:
		text = strconv.FormatFloat(v, 'g', 4, 64)
		if math.Abs(v) >= 1000 {
			text = strconv.FormatFloat(v, 'f', 0, 64)
		}
	case time.Duration: // in milliseconds, as the key says
		text = strconv.FormatFloat(float64(v)/float64(time.Millisecond), 'f', 3, 64)
	default:
		text = fmt.Sprint(v)
	}
	l.figures[key] = text
	if text == "" || strings.ContainsAny(text, " \"=") {
		text = strconv.Quote(text)
	}
	l.b.WriteString(" " + key + "=" + text)
	return l
}

// AddQuantiles adds the median, the 99th percentile and the most of times in nanoseconds.
func (l *Line) AddQuantiles(name string, times []int64) *Line {
	l.times[name] = times
	q := Quantiles(times, 0.5, 0.99, 1)
	return l.Add(name+"_p50_ms", q[0]).Add(name+"_p99_ms", q[1]).Add(name+"_max_ms", q[2])
}

// Figures are the figures as text.
func (l *Line) Figures() map[string]string { return l.figures }

// Quantile is a quantile of times that were added by name.
func (l *Line) Quantile(name string, share float64) time.Duration {
	return Quantiles(l.times[name], share)[0]
}

// String is the line without its end.
func (l *Line) String() string { return l.b.String() }

// AddMachine adds what the figures were measured on.
func (r *Rig) AddMachine(ctx context.Context, l *Line) error {
	l.Add("go", runtime.Version()).Add("cores", runtime.NumCPU()).Add("cpu", cpuModel()).Add("kernel", kernel())
	db, err := r.Database.Open(r.Set.Name)
	if err != nil {
		return err
	}
	defer db.Close()
	var version, flush, pool, folder string
	err = db.QueryRowContext(ctx, "SELECT VERSION(), @@innodb_flush_log_at_trx_commit, @@innodb_buffer_pool_size DIV 1048576, @@datadir").
		Scan(&version, &flush, &pool, &folder)
	if err != nil {
		return err
	}
	l.Add("db", version).Add("db_flush", flush).Add("db_pool_mib", pool)
	if r.Database.Process != nil {
		l.Add("db_disk", filesystem(folder))
	}
	return nil
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return strings.TrimSpace(string(text))
}

// filesystem is the type of the file system that a folder is on: what is measured on tmpfs has
// no durability to pay for.
func filesystem(folder string) string {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	folder = filepath.Clean(folder)
	best, kind := -1, "unknown"
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && len(f[1]) > best && (f[1] == "/" || folder == f[1] || strings.HasPrefix(folder, f[1]+"/")) {
			best, kind = len(f[1]), f[2]
		}
	}
	return kind
}

// Quantiles sorts times and answers the ones below which these shares of them lie, in nanoseconds.
func Quantiles(times []int64, shares ...float64) []time.Duration {
	slices.Sort(times)
	out := make([]time.Duration, len(shares))
	for i, s := range shares {
		if len(times) > 0 {
			out[i] = time.Duration(times[min(len(times)-1, max(0, int(math.Ceil(s*float64(len(times))))-1))])
		}
	}
	return out
}

// Usage is how many cores three processes kept busy over a time: this one, the product and the
// database.
type Usage struct {
	r    *Rig
	at   time.Time
	cpu  [3]time.Duration
	fail error
}

// StartUsage begins to measure.
func (r *Rig) StartUsage() *Usage {
	u := &Usage{r: r, at: time.Now()}
	u.cpu, u.fail = r.cpu()
	return u
}

func (r *Rig) cpu() (cpu [3]time.Duration, err error) {
	server := 0
	if r.Server != nil {
		server = r.Server.PID()
	}
	for i, pid := range []int{syscall.Getpid(), server, r.Database.PID()} {
		var failed error
		if cpu[i], failed = CPU(pid); failed != nil {
			err = failed
		}
	}
	return cpu, err
}

// Stop adds the cores in use since the start to a line, as prefix_cpu_load, _server and _db.
func (u *Usage) Stop(l *Line, prefix string) error {
	cpu, err := u.r.cpu()
	if err != nil || u.fail != nil {
		return fmt.Errorf("processor time: %w", firstOf(u.fail, err))
	}
	over := time.Since(u.at)
	for i, name := range []string{"load", "server", "db"} {
		l.Add(prefix+"_cpu_"+name, math.Round(100*float64(cpu[i]-u.cpu[i])/float64(over))/100)
	}
	return nil
}

// Summary is one error for many goroutines': the first, and how many failed; ctx's own when that
// has ended.
func Summary(ctx context.Context, errs []error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	if failed < 2 {
		return firstOf(errs...)
	}
	return fmt.Errorf("%d of %d failed, the first: %w", failed, len(errs), firstOf(errs...))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
