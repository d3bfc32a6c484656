package services

import (
	"context"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// SweepApps makes the inquiry notifications for what came to apps after they were last heard of
// (rule N3), and deletes their leases: many in few statements, since a node that died leaves
// thousands at once. It answers how many leases it dealt with; one that fails does not keep the
// others waiting.
func (s *Services) SweepApps(ctx context.Context) (int, error) {
	lapsed, err := s.store.View(ctx).LapsedApps(s.Now(), limits.BatchRows)
	if err != nil {
		return 0, err
	}
	byAccount := map[models.Key][]*models.AppLease{}
	for _, l := range lapsed {
		byAccount[l.AccountID] = append(byAccount[l.AccountID], l)
	}
	done := 0
	var failed []error
	for account, leases := range byAccount {
		n, err := s.sweepAccount(ctx, account, leases)
		done += n
		failed = append(failed, err)
	}
	return done, errors.Join(failed...)
}

// sweepAccount sweeps leases of one account together; when that fails, half of them at a time.
func (s *Services) sweepAccount(ctx context.Context, account models.Key, leases []*models.AppLease) (int, error) {
	err := s.sweepTogether(ctx, account, leases)
	switch {
	case err == nil:
		return len(leases), nil
	case len(leases) == 1 || ctx.Err() != nil:
		return 0, err
	}
	half := len(leases) / 2
	first, err1 := s.sweepAccount(ctx, account, leases[:half])
	second, err2 := s.sweepAccount(ctx, account, leases[half:])
	return first + second, errors.Join(err1, err2)
}

func (s *Services) sweepTogether(ctx context.Context, account models.Key, leases []*models.AppLease) error {
	advisors := make([]models.Key, len(leases))
	for i, l := range leases {
		advisors[i] = l.AdvisorID
	}
	r := s.store.View(ctx)
	open, err := r.OpenApps(account, advisors, s.Now())
	if err != nil {
		return err
	}
	since := map[models.Key]models.Time{}
	for _, l := range leases {
		if open[l.AdvisorID] {
			continue // the app came back and shows what came meanwhile
		}
		from := l.RenewedAt
		if l.ExpiresAt > l.RenewedAt { // not a clean close: another node's clock may have written it
			from = from.Add(-limits.ClockSkew)
		}
		if before, twice := since[l.AdvisorID]; !twice || from < before {
			since[l.AdvisorID] = from
		}
	}
	unread, err := r.UnreadSince(account, since)
	if err != nil {
		return err
	}
	for len(unread) > 0 {
		n := min(len(unread), limits.BatchRows)
		if err := s.inquireFor(ctx, account, since, unread[:n]); err != nil {
			return err
		}
		unread = unread[n:]
	}
	return s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error { return tx.CloseApps(leases) })
}

// inquireFor makes inquiries for conversations that are still unread, of which nobody was told, and
// whose advisors' apps have not come back.
func (s *Services) inquireFor(ctx context.Context, account models.Key, of map[models.Key]models.Time, customers []models.Key) error {
	return s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		rows, conversations, err := tx.LockCustomers(customers)
		if err != nil {
			return err
		}
		wanted := map[models.Key]bool{}
		for _, c := range rows {
			if _, swept := of[c.BoundTo()]; swept {
				wanted[c.BoundTo()] = true
			}
		}
		keys := make([]models.Key, 0, len(wanted))
		for k := range wanted {
			keys = append(keys, k)
		}
		advisors, err := tx.LockAdvisors(keys)
		if err != nil {
			return err
		}
		open, err := tx.OpenApps(tx.Account, keys, tx.Now)
		if err != nil {
			return err
		}
		account, err := tx.Reader.Account(tx.Account)
		if err != nil || !account.IsOpen() {
			return err
		}
		told := map[models.Key]bool{}
		for _, a := range advisors {
			told[a.Key] = !open[a.Key] && a.Presence == models.PresenceOnline && a.StateAt(tx.Now) == models.AdvisorActive
		}
		b := &inboundBatch{s: s, tx: tx, inquiries: map[models.Key]*models.Notification{}}
		var changed []*models.Conversation
		for i, conv := range conversations {
			c := rows[i]
			if !told[c.BoundTo()] || conv.Unread == 0 || !conv.InquiryID.IsZero() {
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
