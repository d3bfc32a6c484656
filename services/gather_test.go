package services

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"clientele/limits"
	"clientele/models"
)

// asked is a round of numbers.
type asked struct{ keys []int }

// add is what ask wants of who asks for keys.
func add(keys ...int) func(*asked) int {
	return func(r *asked) int {
		r.keys = append(r.keys, keys...)
		return len(r.keys)
	}
}

// TestGather asks while a round is being read: those who ask go together into the next, which
// begins after they asked, and other accounts do not wait.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := models.NewKey(), models.NewKey()
		gate := make(chan struct{})
		var mu sync.Mutex
		var rounds [][]int
		g := newGather(func(_ context.Context, account models.Key, r *asked) error {
			mu.Lock()
			rounds = append(rounds, slices.Clone(r.keys))
			mu.Unlock()
			if account == one {
				<-gate
			}
			return nil
		})
		var wg sync.WaitGroup
		ask := func(account models.Key, key int) {
			wg.Go(func() {
				r, err := g.ask(t.Context(), account, add(key))
				if err != nil || !slices.Contains(r.keys, key) {
					t.Errorf("asked for %d: %v, %v", key, r, err)
				}
			})
			synctest.Wait()
		}
		for i := range 4 {
			ask(one, i)
		}
		ask(other, 9)
		if want := [][]int{{0}, {9}}; !slices.EqualFunc(rounds, want, slices.Equal[[]int]) {
			t.Fatalf("begun while the first is read: %v", rounds)
		}
		close(gate)
		wg.Wait()
		if want := [][]int{{0}, {9}, {1, 2, 3}}; !slices.EqualFunc(rounds, want, slices.Equal[[]int]) {
			t.Errorf("rounds: %v", rounds)
		}
		synctest.Wait()
		if g.workers != 0 || len(g.waiting) != 0 || len(g.reading) != 0 {
			t.Errorf("left: %+v", g)
		}
	})
}

// TestGatherBounds fills a round and all workers.
func TestGatherBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var mu sync.Mutex
		var sizes []int
		g := newGather(func(_ context.Context, _ models.Key, r *asked) error {
			mu.Lock()
			sizes = append(sizes, len(r.keys))
			mu.Unlock()
			<-gate
			return nil
		})
		var wg sync.WaitGroup
		ask := func(account models.Key, keys int) {
			wg.Go(func() {
				if _, err := g.ask(t.Context(), account, add(make([]int, keys)...)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		last := models.NewKey()
		for range gatherers {
			ask(models.NewKey(), 1)
		}
		ask(last, limits.KeysPerRound-1)
		ask(last, 1)
		ask(last, 1)
		if len(sizes) != gatherers {
			t.Errorf("%d rounds at a time", len(sizes))
		}
		close(gate)
		wg.Wait()
		if got := sizes[gatherers:]; !slices.Equal(got, []int{limits.KeysPerRound, 1}) {
			t.Errorf("rounds of %v keys", got)
		}
	})
}

// TestGatherFails tells all of a round why it failed, and lets who gives up go.
func TestGatherFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("no database")
		gate := make(chan struct{})
		g := newGather(func(ctx context.Context, _ models.Key, _ *asked) error {
			select {
			case <-gate:
				return failure
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		account := models.NewKey()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.ask(ctx, account, add(1)); !errors.Is(err, context.Canceled) {
				t.Errorf("gave up: %v", err)
			}
		})
		synctest.Wait()
		for range 2 {
			wg.Go(func() {
				if _, err := g.ask(t.Context(), account, add(1)); !errors.Is(err, failure) {
					t.Errorf("failed: %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(gate)
		wg.Wait()
		gate = make(chan struct{})
		// A statement that hangs has its time, whoever waits.
		if _, err := g.ask(t.Context(), account, add(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hung: %v", err)
		}
	})
}
