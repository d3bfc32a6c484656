package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"clientele/limits"
)

func TestIsUntidy(t *testing.T) {
	const mib = 1 << 20
	before := heap{cycles: 7}
	for name, c := range map[string]struct {
		now  heap
		want bool
	}{
		"garbage at the limit":         {heap{cycles: 7, live: 4 * mib, used: 4*mib + limits.QuietGarbage}, true},
		"garbage below the limit":      {heap{cycles: 7, live: 4 * mib, used: 4*mib + limits.QuietGarbage - 1}, false},
		"memory kept":                  {heap{cycles: 7, live: 4 * mib, used: 4 * mib, free: limits.QuietGarbage}, true},
		"a quarter of a large heap":    {heap{cycles: 7, live: 400 * mib, used: 500 * mib}, true},
		"less than that":               {heap{cycles: 7, live: 400 * mib, used: 500*mib - 1}, false},
		"a collection in between":      {heap{cycles: 8, live: 4 * mib, used: 400 * mib}, false},
		"less in use than was found":   {heap{cycles: 7, live: 40 * mib, used: 30 * mib}, false},
		"less in use, but memory kept": {heap{cycles: 7, live: 40 * mib, used: 30 * mib, free: 10 * mib}, true},
	} {
		if got := c.now.isUntidy(before); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTidy leaves garbage behind and lets it be quiet: it is collected once, and not again.
func TestTidy(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // only tidy collects
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &ballast{}
		go tidy(ctx, b)
		synctest.Wait()
		garbage := make([]byte, 4*limits.QuietGarbage)
		runtime.KeepAlive(garbage)
		before := readHeap(b)
		sleep(1)
		after := readHeap(b)
		if after.cycles == before.cycles || after.used+3*limits.QuietGarbage > before.used {
			t.Errorf("%+v after %+v", after, before)
		}
		sleep(3)
		if again := readHeap(b); again.cycles != after.cycles {
			t.Errorf("%d collections for nothing", again.cycles-after.cycles)
		}
		cancel()
		synctest.Wait()
	})
}

// sleep lets the fake clock pass n looks of tidy.
func sleep(n int) {
	time.Sleep(time.Duration(n)*limits.QuietTime + time.Second)
	synctest.Wait()
}

// TestBallast is held while the heap is small, and is no burden to a large one.
func TestBallast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &ballast{}
		go tidy(ctx, b)
		synctest.Wait()
		if n := b.held.Load(); n != limits.Ballast {
			t.Errorf("%d bytes at the beginning", n)
		}
		large := make([]byte, 2*limits.Ballast)
		runtime.GC()
		sleep(1)
		if n := b.held.Load(); n != 0 {
			t.Errorf("%d bytes beside a large heap", n)
		}
		runtime.KeepAlive(large) // and behind this line nobody does.
		runtime.GC()
		sleep(1)
		if n := b.held.Load(); n != limits.Ballast {
			t.Errorf("%d bytes when the heap is small again", n)
		}
		cancel()
		synctest.Wait()
	})
}
