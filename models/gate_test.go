package models_test

import (
	"testing"
	"time"

	"clientele/models"
)

// Ensure a gate shuts with the first failure, lets one try after each pause, and counts calls that
// were under way together once.
func TestGate(t *testing.T) {
	const now models.Time = 1_000_000
	var g models.Gate
	if !g.IsOpen() || !g.Admits(now) || !g.Admits(0) {
		t.Fatalf("a gate without failures is shut: %+v", g)
	}
	if !g.Fail(0, now, time.Second) || g.IsOpen() || g.Failures != 1 || g.Since != now {
		t.Fatalf("after the first failure %+v", g)
	}
	end := now.Add(time.Second)
	if g.Admits(now) || g.Admits(end-1) || !g.Admits(end) {
		t.Errorf("the pause of %+v is not up to %d", g, end)
	}
	if before := g; g.Fail(0, end, time.Minute) || g != before {
		t.Errorf("a call of before the pause changed it to %+v", g)
	}
	g.Try(end, time.Minute)
	if g.Admits(end) || g.IsOpen() || !g.Admits(end.Add(time.Minute)) {
		t.Errorf("while one tries %+v", g)
	}
	if !g.Fail(1, end, 2*time.Second) || g.Failures != 2 || g.Since != now || g.PausedUntil != end.Add(2*time.Second) {
		t.Errorf("after the second failure %+v", g)
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
