package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
)

// TimeEnv names the variable that makes the runs longer: each of the kills lasts so long.
const TimeEnv = "CLIENTELE_CRASH_TIME"

// kills is how often a short run kills.
const kills = 4

// sabotageEnv names the variable that a binary with the tag sabotage obeys.
const sabotageEnv = "CLIENTELE_SABOTAGE"

// killed runs traffic in which kill is called at random moments, and checks what it left.
func (r *rig) killed(what string, kill func()) {
	r.Helper()
	r.run()
	var long time.Duration
	if text := os.Getenv(TimeEnv); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			r.Fatalf("%s: %v", TimeEnv, err)
		}
	}
	const least, most = 30, 150
	begun, n := time.Now(), 0
	for ; n < kills || time.Since(begun) < long; n++ {
		r.traffic(least + rand.IntN(most-least))
		kill()
	}
	r.traffic(least)
	r.lapse()
	r.settle()
	r.repeatAll()
	h := r.history()
	r.tell(h, fmt.Sprintf("%s killed %d times in %s", what, n, time.Since(begun).Round(time.Second)))
	for _, fault := range r.told() {
		r.Error(fault)
	}
	for _, n := range r.nodes {
		for failure, times := range n.failures() {
			r.Logf("%s logged %d times: %s", n.name, times, failure)
		}
	}
	if found := Check(h); len(found) > 0 {
		r.Errorf("%d promises were broken:\n%s", len(found), describe(found))
	}
}

// killNode kills one of the servers and starts it again at once.
func (r *rig) killNode() {
	r.Helper()
	n := r.nodes[rand.IntN(len(r.nodes))]
	n.process.Kill()
	n.start(r.T)
}

// repeatAll asks once more for what was acknowledged: a key answers with its message for ever.
func (r *rig) repeatAll() {
	r.Helper()
	const most = 500
	for _, s := range r.sends[max(0, len(r.sends)-most):] {
		i := slices.IndexFunc(r.people, func(p *person) bool { return p.key == s.Customer })
		if err := r.people[i].send(r.nodes[0], s.Key, s.Text); err != nil {
			r.Errorf("key %s, which was acknowledged, is answered with %v", s.Key, err)
		}
	}
}

// Ensure that a server which is killed in mid-traffic loses nothing it acknowledged, and that its
// clients miss nothing and see nothing that is not so (rules N4, G5, E15, K1).
func TestServerKilled(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, testkit.EmptySQLite(t), binary(t, ""), 1)
		r.killed("the server", r.killNode)
	})
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, testkit.EmptyMySQL(t), binary(t, ""), 2)
		r.killed("one of two servers", r.killNode)
	})
}

// Ensure the same of a database that is killed under two servers. What a server has read there may
// be gone when it comes back: visible is not durable (docs/architecture.md).
func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	db := testkit.StartDurable(t)
	r := newRig(t, db.DSN, binary(t, ""), 2)
	r.killed("the database, or a server,", func() {
		const everyFourth = 4
		if rand.IntN(everyFourth) == 0 {
			r.killNode()
			return
		}
		db.Kill()
		db.Start(t)
	})
}

// Ensure the checker finds what it is for: each of four promises, broken on purpose, is found in
// a run shorter than those above.
func TestSabotageIsFound(t *testing.T) {
	for _, tt := range []struct {
		sabotage string
		want     map[Fault]string // what the violations say, in part
	}{
		{"publish-before-commit", map[Fault]string{Phantom: ": connection"}},
		{"skip-an-event", map[Fault]string{Missed: "never received number"}},
		{"number-twice", map[Fault]string{Phantom: ": connection", Lost: "was acknowledged"}},
		{"claim-again", map[Fault]string{Double: "the platform received"}},
	} {
		for engine, empty := range map[string]func(testing.TB) string{"sqlite": testkit.EmptySQLite, "mysql": testkit.EmptyMySQL} {
			t.Run(tt.sabotage+"/"+engine, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, empty(t), binary(t, "sabotage"), 1, sabotageEnv+"="+tt.sabotage)
				r.spoiled = true
				r.run()
				const requests = 300
				r.traffic(requests)
				if tt.sabotage == "claim-again" { // it shows where something is in hand when the nodes die
					r.within(5*patience, func() bool { // what is checked below, so a wait in vain shows there
						received := len(r.platform.Lines(r))
						r.lapse()
						r.await("the platform received more", func() bool { return len(r.platform.Lines(r)) > received })
						return r.repeated()
					})
				}
				h := r.history()
				r.tell(h, tt.sabotage)
				found := Check(h)
				for fault, says := range tt.want {
					if !slices.ContainsFunc(found, func(v Violation) bool { return v.Fault == fault && strings.Contains(v.What, says) }) {
						t.Errorf("%s was not found to be %s; what was found:\n%s", tt.sabotage, fault, describe(found))
					}
				}
				t.Logf("found, among %d:\n%s", len(found), describe(found[:min(len(found), 3)]))
			})
		}
	}
}

// repeated reports whether the platform received a message twice.
func (r *rig) repeated() bool {
	r.Helper()
	seen := map[string]bool{}
	for _, line := range r.platform.Lines(r) {
		if seen[line.MessageID] {
			return true
		}
		seen[line.MessageID] = true
	}
	return false
}

// Ensure the killing of a database bites: one that syncs nothing loses what was acknowledged, and
// that is found. It may write something by itself, all that the platform received too; hardly each time.
func TestWeakDatabaseIsFound(t *testing.T) {
	t.Parallel()
	const tries = 4
	for try := 1; ; try++ {
		found := killWeak(t)
		missing := slices.DeleteFunc([]Violation{{Lost, ""}, {Phantom, ""}, {Phantom, "the platform received"}}, func(want Violation) bool {
			return slices.ContainsFunc(found, func(v Violation) bool { return v.Fault == want.Fault && strings.HasPrefix(v.What, want.What) })
		})
		switch {
		case len(missing) == 0:
			return
		case try == tries:
			t.Fatalf("a database that syncs nothing was not found to be %v; what was found:\n%s", missing, describe(found))
		}
	}
}

// killWeak kills a database that syncs nothing, and answers what is missing then.
func killWeak(t *testing.T) []Violation {
	t.Helper()
	db := testkit.StartDurable(t, "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-log-at-timeout=2700")
	r := newRig(t, db.DSN, binary(t, ""), 2)
	r.spoiled = true
	r.run()
	const requests = 60
	r.traffic(requests)
	r.await("the platform received a message", func() bool { return len(r.platform.Lines(r)) > 0 })
	r.stopSenders()
	db.Kill()
	db.Start(t)
	return Check(r.history())
}

// Ensure the program that is shipped holds nothing of the sabotages.
func TestShippedWithoutSabotage(t *testing.T) {
	for tags, want := range map[string]bool{"": false, "sabotage": true} {
		program, err := os.ReadFile(binary(t, tags))
		if err != nil {
			t.Fatal(err)
		}
		if has := bytes.Contains(program, []byte(sabotageEnv)); has != want {
			t.Errorf("with the tags %q the program knows %s: %t", tags, sabotageEnv, has)
		}
	}
}
