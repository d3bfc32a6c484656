package models_test

import (
	"testing"
	"time"

	"clientele/limits"
	"clientele/models"
)

// Ensure a gate shuts with the first failure, lets one try after each pause, and counts calls that
// were under way together once.
func TestGate(t *testing.T) {
	const now models.Time = 1_000_000
	pause := func(step int) time.Duration { return time.Duration(step) * time.Second }
	var g models.Gate
	if !g.IsOpen() || !g.Admits(now) || !g.Admits(0) {
		t.Fatalf("a gate without failures is shut: %+v", g)
	}
	if !g.Fail(0, now, pause) || g.IsOpen() || g.Failures != 1 || g.Since != now {
		t.Fatalf("after the first failure %+v", g)
	}
	end := now.Add(time.Second)
	if g.Admits(now) || g.Admits(end-1) || !g.Admits(end) {
		t.Errorf("the pause of %+v is not up to %d", g, end)
	}
	if before := g; g.Fail(0, end, pause) || g != before {
		t.Errorf("a call of before the pause changed it to %+v", g)
	}
	g.Try(end, time.Minute)
	if g.Admits(end) || g.IsOpen() || !g.Admits(end.Add(time.Minute)) {
		t.Errorf("while one tries %+v", g)
	}
	if !g.Fail(1, end, pause) || g.Failures != 2 || g.Since != now || g.PausedUntil != end.Add(2*time.Second) {
		t.Errorf("after the second failure %+v", g)
	}
}

// Ensure an outage goes on while the channel is asked again within GateSilence of each pause, and is
// a new one, with short pauses again, when it was not; the failures are counted on.
func TestGateSilence(t *testing.T) {
	pause := func(step int) time.Duration { return time.Duration(step) * time.Second }
	for _, tt := range []struct {
		silence time.Duration
		fresh   bool
	}{{0, false}, {models.GateSilence, false}, {models.GateSilence + time.Microsecond, true}} {
		const first models.Time = 1_000_000
		g := models.Gate{Failures: 8, Since: first, Step: 8, PausedUntil: first.Add(time.Minute)}
		now := g.PausedUntil.Add(tt.silence)
		g.Try(now, time.Minute)
		later := now.Add(limits.ChannelTime)
		if !g.Fail(8, later, pause) {
			t.Fatal("did not count")
		}
		want := models.Gate{Failures: 9, Since: first, Step: 9, PausedUntil: later.Add(9 * time.Second)}
		if tt.fresh {
			want = models.Gate{Failures: 9, Since: now, Step: 1, PausedUntil: later.Add(time.Second)}
		}
		if g != want {
			t.Errorf("after a silence of %s %+v, want %+v", tt.silence, g, want)
		}
	}
}

// Ensure a lease and its end are seen by who looks for work.
func TestOutboxLease(t *testing.T) {
	o := models.Outbox{DueAt: 10}
	if o.IsFree(9) || !o.IsFree(10) {
		t.Errorf("%+v is not free from 10 on", o)
	}
	worker := models.NewKey()
	o.Lease(worker, 70)
	if o.IsFree(69) || !o.IsFree(70) || o.LeasedBy != worker {
		t.Errorf("leased %+v", o)
	}
	o.DueAt = 10 // as the release before leaves it
	if o.IsFree(69) {
		t.Errorf("leased by the release before, and free: %+v", o)
	}
	o.Release(30)
	if o.IsFree(29) || !o.IsFree(30) || !o.LeasedBy.IsZero() {
		t.Errorf("released %+v", o)
	}
}
