package services

import (
	"context"
	"errors"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// apps counts this node's live message subscriptions by advisor and keeps the lease that tells
// all nodes that the app is open (rule N3). One goroutine writes the leases: what is opened and
// closed while it writes goes together into its next round, so that ten thousand apps that come
// back at once cost a few transactions.
type apps struct {
	s    *Services
	mu   sync.Mutex
	open map[models.StreamID]int
	// pending are advisors whose lease must be written or deleted, with those who wait for it.
	pending map[models.StreamID][]chan struct{}
	work    chan struct{}
}

func newApps(s *Services) *apps {
	return &apps{s: s, open: map[models.StreamID]int{}, pending: map[models.StreamID][]chan struct{}{}, work: make(chan struct{}, 1)}
}

// opened counts a subscription and returns once the lease is written, or ctx ends. The
// subscription counts either way and must be given back with closed.
func (a *apps) opened(ctx context.Context, id models.StreamID) {
	written := make(chan struct{})
	a.mu.Lock()
	a.open[id]++
	first := a.open[id] == 1
	if first {
		a.pending[id] = append(a.pending[id], written)
	}
	a.mu.Unlock()
	if !first {
		return
	}
	a.wake()
	select {
	case <-written:
	case <-ctx.Done():
	}
}

// closed ends what opened began. The lease is deleted soon after the last one.
func (a *apps) closed(id models.StreamID) {
	a.mu.Lock()
	a.open[id]--
	if a.open[id] <= 0 {
		delete(a.open, id)
		a.pending[id] = append(a.pending[id], nil)
	}
	a.mu.Unlock()
	a.wake()
}

func (a *apps) wake() {
	select {
	case a.work <- struct{}{}:
	default:
	}
}

func (a *apps) run(ctx context.Context) {
	renew := time.NewTicker(limits.AppLeaseRenewal)
	defer renew.Stop()
	for {
		select {
		case <-a.work:
			a.flush(context.WithoutCancel(ctx))
		case <-renew.C:
			a.renew(ctx)
		case <-ctx.Done():
			a.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// flush writes and deletes what is pending.
func (a *apps) flush(ctx context.Context) {
	a.mu.Lock()
	pending := a.pending
	a.pending = map[models.StreamID][]chan struct{}{}
	var open, shut []models.StreamID
	for id := range pending {
		if a.open[id] > 0 {
			open = append(open, id)
		} else {
			shut = append(shut, id)
		}
	}
	a.mu.Unlock()
	a.write(ctx, open, func(tx *store.Tx, keys []models.Key) error { return tx.RenewApps(keys) })
	a.write(ctx, shut, func(tx *store.Tx, keys []models.Key) error { return tx.CloseApps(keys) })
	for _, waiting := range pending {
		for _, w := range waiting {
			if w != nil {
				close(w)
			}
		}
	}
}

func (a *apps) renew(ctx context.Context) {
	a.mu.Lock()
	ids := make([]models.StreamID, 0, len(a.open))
	for id := range a.open {
		ids = append(ids, id)
	}
	a.mu.Unlock()
	a.write(ctx, ids, func(tx *store.Tx, keys []models.Key) error { return tx.RenewApps(keys) })
}

// write runs fn for the advisors of each account. A failure is logged: the lease then lapses
// and the sweep makes the notifications, so nothing is lost.
func (a *apps) write(ctx context.Context, ids []models.StreamID, fn func(*store.Tx, []models.Key) error) {
	byAccount := map[models.Key][]models.Key{}
	for _, id := range ids {
		byAccount[id.Account] = append(byAccount[id.Account], id.Stream)
	}
	for account, keys := range byAccount {
		ctx, cancel := context.WithTimeout(ctx, limits.OperationTime)
		err := a.s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error { return fn(tx, keys) })
		cancel()
		if err != nil {
			a.s.log.WarnContext(ctx, "app leases not written", "account", account.String(), "advisors", len(keys), "error", err)
		}
	}
}

// SweepApps makes the inquiry notifications for what came to apps that went away without a
// clean close (rule N3), and deletes their leases. It answers how many leases it dealt with.
func (s *Services) SweepApps(ctx context.Context) (int, error) {
	lapsed, err := s.store.View(ctx).LapsedApps(s.Now(), limits.BatchRows)
	if err != nil {
		return 0, err
	}
	for i, l := range lapsed {
		if err := s.sweepApp(ctx, l); err != nil {
			return i, err
		}
	}
	return len(lapsed), nil
}

func (s *Services) sweepApp(ctx context.Context, l *models.AppLease) error {
	unread, err := s.store.View(ctx).UnreadSince(l.AccountID, l.AdvisorID, l.RenewedAt)
	if err != nil {
		return err
	}
	for len(unread) > 0 {
		n := min(len(unread), limits.BatchRows)
		if err := s.inquireFor(ctx, l, unread[:n]); err != nil {
			return err
		}
		unread = unread[n:]
	}
	return s.store.Write(ctx, store.System(), l.AccountID, func(tx *store.Tx) error {
		now, err := tx.LockApp(l.AdvisorID, l.NodeID)
		if errors.Is(err, store.ErrNotFound) || err == nil && now.ExpiresAt > tx.Now {
			return nil // closed or renewed meanwhile
		}
		if err != nil {
			return err
		}
		return tx.CloseApp(l.AdvisorID, l.NodeID)
	})
}

// inquireFor makes inquiries for conversations that are still unread and that nobody was told of.
func (s *Services) inquireFor(ctx context.Context, l *models.AppLease, customers []models.Key) error {
	return s.store.Write(ctx, store.System(), l.AccountID, func(tx *store.Tx) error {
		rows, err := tx.LockCustomers(customers)
		if err != nil {
			return err
		}
		conversations, err := tx.LockConversations(customers)
		if err != nil {
			return err
		}
		advisors, err := tx.LockAdvisors([]models.Key{l.AdvisorID})
		if err != nil || len(advisors) == 0 {
			return err
		}
		open, err := tx.OpenApps(tx.Account, []models.Key{l.AdvisorID}, tx.Now)
		if err != nil {
			return err
		}
		a := advisors[0]
		if open[a.Key] || a.Presence != models.PresenceOnline || a.StateAt(tx.Now) != models.AdvisorActive {
			return nil // the app came back, or nobody is to be told
		}
		b := &inboundBatch{s: s, tx: tx, inquiries: map[models.Key]*models.Notification{}}
		byKey := map[models.Key]*models.Customer{}
		for _, c := range rows {
			byKey[c.Key] = c
		}
		var changed []*models.Conversation
		for _, conv := range conversations {
			c := byKey[conv.CustomerID]
			if c.BoundTo() != a.Key || conv.Unread == 0 || !conv.InquiryID.IsZero() {
				continue
			}
			n := &models.Notification{Kind: models.NotifyCustomerInquiry, Count: conv.Unread}
			b.notify(c, conv, n)
			conv.InquiryID = n.Key
			changed = append(changed, conv)
		}
		if err := tx.UpdateConversations(changed); err != nil {
			return err
		}
		return tx.InsertNotifications(b.notifications)
	})
}
