package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// turns has turns at what is claimed, of which what is the name, so many at a time: whenever queued is signalled or a turn has ended, and each
// poll for what nobody told of. It works until ctx ends and the turns under way have.
func turns[T any](ctx context.Context, log *slog.Logger, what string, workers int, poll time.Duration, queued <-chan struct{},
	claim func(ctx context.Context, most int) ([]T, error), turn func(ctx context.Context, of T),
) {
	var wg sync.WaitGroup
	defer wg.Wait()
	freed := make(chan struct{}, workers)
	free := workers
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		claimed, err := claim(ctx, free)
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "what is due could not be looked for", "of", what, "error", err)
		}
		for _, c := range claimed {
			free--
			wg.Go(func() {
				turn(ctx, c)
				freed <- struct{}{}
			})
		}
		select {
		case <-t.C:
		case <-queued:
		case <-freed:
			free++
		case <-ctx.Done():
			return
		}
	}
}
