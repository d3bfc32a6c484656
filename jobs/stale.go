package jobs

import (
	"context"
	"sync"

	"clientele/models"
)

// stale ends the waiting of messages whose channel stays away: a goroutine for each such account,
// beside the workers, so that the account's channel goes on being tried meanwhile. It is safe for
// concurrent use.
type stale struct {
	runner *Runner
	// wg is who waits for the goroutines; whoever calls fail is counted in it.
	wg *sync.WaitGroup

	mu      sync.Mutex
	running map[models.Key]bool
}

func newStale(r *Runner, wg *sync.WaitGroup) *stale {
	return &stale{runner: r, wg: wg, running: map[models.Key]bool{}}
}

// fail begins services.FailStale for an account, unless it is under way: the next fruitless try
// asks again.
func (s *stale) fail(ctx context.Context, account models.Key, queued models.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[account] {
		return
	}
	s.running[account] = true
	s.wg.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.running, account)
		}()
		n, err := s.runner.Services.FailStale(ctx, account, queued)
		if n > 0 {
			s.runner.Log.InfoContext(ctx, "messages waited too long for their channel", "account", account.String(), "failed", n)
		}
		if err != nil && ctx.Err() == nil {
			s.runner.Log.WarnContext(ctx, "some messages that waited too long are left for the next time", "account", account.String(), "error", err)
		}
	})
}
