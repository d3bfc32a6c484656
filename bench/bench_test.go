package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"clientele/bench/idle"
	"clientele/bench/inbound"
	"clientele/bench/inbox"
	"clientele/bench/people"
	"clientele/bench/push"
	"clientele/bench/reconnect"
	"clientele/bench/rig"
	"clientele/bench/soak"
	"clientele/internal/testkit"
)

func TestMain(m *testing.M) {
	rig.Main() // the programs start this very file as their helpers
	os.Exit(m.Run())
}

// patience bounds a program that takes seconds.
const patience = 3 * time.Minute

// place is which database a program runs on.
type place int

const (
	// shared is the server that other tests use, where one is named.
	shared place = iota
	// private is the programs' own, with nobody else on it.
	private
)

// figures runs a program at a size that says nothing about speed and answers its line, so that the
// programs do not rot. Where no database can be had the test ends here.
func figures(t *testing.T, p place, name string, run func(context.Context, rig.Flags) (*rig.Line, error)) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := rig.Flags{BufferPool: "64M", Inside: true, Say: t.Output()}
	switch dsn := os.Getenv(testkit.MySQLEnv); {
	case dsn == testkit.NoMySQL:
		testkit.Missing(t, testkit.NeedMySQL, errors.New(testkit.MySQLEnv+"="+dsn))
	case p == shared:
		f.DSN = dsn
	}
	l, err := run(ctx, f)
	if errors.Is(err, rig.ErrNoDatabase) {
		testkit.Missing(t, testkit.NeedMySQL, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	line := l.String()
	t.Log(line)
	if !strings.HasPrefix(line, name+" ") || strings.Contains(line, "\n") {
		t.Errorf("line %q", line)
	}
	return l.Figures()
}

// positive checks that figures are there and above zero.
func positive(t *testing.T, got map[string]string, names ...string) {
	t.Helper()
	for _, name := range names {
		if v, err := strconv.ParseFloat(got[name], 64); err != nil || v <= 0 {
			t.Errorf("%s=%q", name, got[name])
		}
	}
}

func tiny() rig.Shape { return rig.Shape{Advisors: 10, Customers: 60, Messages: 300} }

func TestInbound(t *testing.T) {
	got := figures(t, shared, "inbound", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return inbound.Run(ctx, inbound.Options{
			Flags: f, Shape: tiny(), Connections: 8, Warm: 200 * time.Millisecond, Saturated: time.Second,
			Rate: 100, Open: time.Second, Floor: time.Second, FloorLanes: 2, FloorBatch: 10,
		})
	})
	positive(t, got, "per_s", "stored", "floor_per_s", "ratio", "answer_p99_ms", "push_p99_ms", "cores")
	if got["stored"] != got["pushed"] {
		t.Errorf("stored %s, pushed %s", got["stored"], got["pushed"])
	}
}

func TestPush(t *testing.T) {
	got := figures(t, shared, "push", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return push.Run(ctx, push.Options{
			Flags: f, Shape: tiny(), Subscribers: 30, Connections: 8, Rate: 100, Warm: 200 * time.Millisecond, Time: time.Second,
		})
	})
	positive(t, got, "push_p50_ms", "push_p99_ms", "floor_p99_ms", "ratio_p99")
	if got["deliveries"] != "300" { // three subscribers an advisor
		t.Errorf("deliveries %s", got["deliveries"])
	}
}

func TestIdle(t *testing.T) {
	got := figures(t, shared, "idle", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return idle.Run(ctx, idle.Options{Flags: f, Shape: tiny(), Subscribers: 300, Ramp: 500, Settle: time.Second, Before: time.Second})
	})
	positive(t, got, "kib_each", "goroutines_each", "floor_kib_each", "ratio")
}

// Statements are counted, so nobody else may ask any.
func TestInbox(t *testing.T) {
	got := figures(t, private, "inbox", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return inbox.Run(ctx, inbox.Options{
			Flags: f, Advisors: 2, Customers: 60, Messages: 3, Page: 50, AtOnce: 4, Warm: 100 * time.Millisecond, Time: 500 * time.Millisecond,
			Large: 2_000, LargeAdvisor: 500,
		})
	})
	positive(t, got, "page_ms", "sql_ms", "gqlgen_ms", "ratio", "ratio_with_gqlgen", "ratio_large")
	for _, size := range []string{"10", "50", "200"} {
		if got["selects_of_"+size] != got["selects_of_1"] {
			t.Errorf("%s statements for a page of %s, %s for one of 1", got["selects_of_"+size], size, got["selects_of_1"])
		}
	}
}

func TestPeople(t *testing.T) {
	got := figures(t, shared, "people", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return people.Run(ctx, people.Options{
			Flags: f, Customers: 2_000, First: 500, Batch: 20, Rounds: 3, Import: 2_500, Page: 10, Deep: 20, Time: 100 * time.Millisecond,
		})
	})
	positive(t, got, "ratio_assign", "ratio_rebind", "ratio_tag", "ratio_import", "ratio_list", "ratio_list_deep")
}

func TestReconnect(t *testing.T) {
	got := figures(t, shared, "reconnect", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return reconnect.Run(ctx, reconnect.Options{Flags: f, Shape: tiny(), Clients: 100, Behind: 3, Connections: 8, Within: time.Minute})
	})
	positive(t, got, "all_s", "floor_s", "ratio")
}

func TestSoak(t *testing.T) {
	got := figures(t, shared, "soak", func(ctx context.Context, f rig.Flags) (*rig.Line, error) {
		return soak.Run(ctx, soak.Options{
			Flags: f, Shape: tiny(), Time: 3 * time.Second, Round: time.Second, Clients: 20, Stay: 300 * time.Millisecond, Connections: 4, Rate: 50,
		})
	})
	positive(t, got, "connects", "events", "goroutines_first", "goroutines_last", "live_mib_last")
}

// Ensure that a figure can be read as it was written.
func TestLine(t *testing.T) {
	l := rig.NewLine("x").Add("a", 1.5).Add("b", 12345.6).Add("c", 1500*time.Microsecond).Add("d", "two words").Add("e", 3)
	if got, want := l.String(), `x a=1.5 b=12346 c=1.500 d="two words" e=3`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := l.Figures()["d"]; got != "two words" {
		t.Errorf("d=%q", got)
	}
}

func TestQuantiles(t *testing.T) {
	var times []int64
	for i := int64(100); i > 0; i-- {
		times = append(times, i)
	}
	got := rig.Quantiles(times, 0, 0.5, 0.99, 1)
	for i, want := range []time.Duration{1, 50, 99, 100} {
		if got[i] != want {
			t.Errorf("quantile %d: %d, want %d", i, got[i], want)
		}
	}
	if got := rig.Quantiles(nil, 0.5); got[0] != 0 {
		t.Errorf("of nothing: %d", got[0])
	}
}
