package services

import (
	"context"
	"slices"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// visitEvery leaves half of limits.PolicyRecheck for the visit itself.
const visitEvery = limits.PolicyRecheck / 2

// visitSpread is how long the visit of an account with many open watches is spread out: thousands of
// rows at once would hold up for a moment whoever else uses the database.
const visitSpread = visitEvery / 2

// visitAccounts is how many accounts a round looks at together.
const visitAccounts = 8

// visits are the open watches of this node and how each is ended.
type visits struct {
	mu   sync.Mutex
	open map[*Watch]func(error)
}

func (v *visits) add(w *Watch, end func(error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open[w] = end
}

func (v *visits) remove(w *Watch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.open, w)
}

// take removes a watch and answers how it is ended; nil when it was closed.
func (v *visits) take(w *Watch) func(error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	end := v.open[w]
	delete(v.open, w)
	return end
}

// OnEnd says how the watch is ended when its viewer may not listen any more and there is no event
// that Take would notice it by, or nobody takes: end is called once at most, from another
// goroutine, with an error that is ErrAccessEnded, within limits.PolicyRecheck. It must not block.
func (w *Watch) OnEnd(end func(error)) { w.s.visits.add(w, end) }

// visitWatches looks again and again whether the viewers of open watches may still listen: two
// statements an account, and one for each limits.RowsPerLook advisors.
func (s *Services) visitWatches(ctx context.Context) {
	t := time.NewTicker(visitEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.visit(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// visit is one round. What cannot be read now is left to the next round.
func (s *Services) visit(ctx context.Context) {
	byAccount := map[models.Key][]*Watch{}
	s.visits.mu.Lock()
	for w := range s.visits.open {
		byAccount[w.account] = append(byAccount[w.account], w)
	}
	s.visits.mu.Unlock()
	// Some at a time, so that one that must wait does not keep the others from their turn.
	slots := make(chan struct{}, visitAccounts)
	var wg sync.WaitGroup
	defer wg.Wait()
	for account, watches := range byAccount {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.visitAccount(ctx, account, watches); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "open subscriptions not checked", "account", account.String(), "error", store.Describe(err))
			}
		})
	}
}

func (s *Services) visitAccount(ctx context.Context, key models.Key, watches []*Watch) error {
	ctx, cancel := context.WithTimeout(ctx, limits.OperationTime)
	defer cancel()
	account, err := s.store.View(ctx).Account(key)
	if err != nil {
		return err
	}
	s.remember(account)
	revoked, err := s.revoked(ctx, key, true)
	if err != nil {
		return err
	}
	slices.SortFunc(watches, func(a, b *Watch) int { return slices.Compare(a.advisor[:], b.advisor[:]) })
	pause := visitSpread / time.Duration(len(watches)/limits.RowsPerLook+1)
	for len(watches) > 0 {
		var keys []models.Key
		n := 0
		for ; n < len(watches); n++ {
			if last := len(keys) - 1; !watches[n].advisor.IsZero() && (last < 0 || keys[last] != watches[n].advisor) {
				if len(keys) == limits.RowsPerLook {
					break
				}
				keys = append(keys, watches[n].advisor)
			}
		}
		advisors, err := s.store.View(ctx).Advisors(key, keys)
		if err != nil {
			return err
		}
		byKey := make(map[models.Key]*models.Advisor, len(advisors))
		for _, a := range advisors {
			byKey[a.Key] = a
		}
		for _, w := range watches[:n] {
			if why := w.ended(account, byKey[w.advisor], revoked); why != nil {
				if end := s.visits.take(w); end != nil {
					end(why)
				}
			}
		}
		if watches = watches[n:]; len(watches) > 0 {
			rest(ctx, pause)
		}
	}
	return nil
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// ended says why a watch may not go on; nil: it may.
func (w *Watch) ended(account *models.Account, advisor *models.Advisor, revoked *models.Revocations) error {
	if covered(revoked, w.viewer, advisor) {
		return errRevoked
	}
	if w.advisor.IsZero() {
		return nil
	}
	if advisor == nil || advisor.StateAt(w.s.Now()) == models.AdvisorRemoved {
		return errMayNotNow
	}
	if w.what == WatchMessages && w.s.mayServe(&Scope{Account: account, Advisor: advisor}) != nil {
		return errMayNotNow
	}
	return nil
}
