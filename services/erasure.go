package services

import (
	"context"
	"errors"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// EraseCustomer erases a customer (rule E13): once it has returned nobody is shown anything of them, and a
// sweep blanks what the database holds. One who was erased before, named by id or openid, is answered with
// their erasure. Also while the account is closed. NOT_FOUND.
func (s *Services) EraseCustomer(ctx context.Context, ref CustomerRef) (e *models.Erasure, err error) {
	c, err := s.begin(ctx, mayErase)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	customer, err := s.customerRef(r, c, ref, "input.customer")
	if models.CodeOf(err) == models.CodeNotFound {
		if before, readErr := s.erasedBefore(r, c, ref); before != nil || readErr != nil {
			return before, readErr
		}
	}
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if e, err = erase(tx, customer.Key, models.ErasureRequested, c.by(), nil); err != nil {
			return err
		}
		if e == nil {
			return models.NotFound("customer", "input.customer") // another call erased them meanwhile
		}
		return tx.Audit(store.Change{Action: "eraseCustomer", TargetKind: "Customer", Target: customer.Key})
	})
	if models.CodeOf(err) == models.CodeNotFound {
		if before, readErr := s.erasedBefore(s.store.View(ctx), c, CustomerRef{Key: customer.Key}); before != nil || readErr != nil {
			return before, readErr
		}
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// erasedBefore finds the erasure of whom a reference named before; nil: there is none.
func (s *Services) erasedBefore(r *store.Reader, c *Scope, ref CustomerRef) (*models.Erasure, error) {
	if !ref.Key.IsZero() {
		e, err := r.ErasureOf(c.Account.Key, ref.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil //nolint:nilnil // they were not.
		}
		return e, err
	}
	if ref.OpenID == "" {
		return nil, nil //nolint:nilnil // of a unionid nothing is kept.
	}
	rows, err := r.ErasurePage(c.Account.Key, models.ErasureDigest(c.Account.Key, ref.OpenID), relay.Page{First: 1})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// erase blanks a customer's own rows, unbinds them, and begins their erasure; nil when they are not there, were
// erased, or are not those that `still` tells, asked under their lock.
func erase(tx *store.Tx, key models.Key, cause models.ErasureCause, by string, still func(*models.Customer) bool) (*models.Erasure, error) {
	customers, conversations, err := tx.LockCustomers([]models.Key{key})
	if err != nil || len(customers) == 0 || !customers[0].ErasedAt.IsZero() || still != nil && !still(customers[0]) {
		return nil, err
	}
	c, conv := customers[0], conversations[0]
	bound, openid, unionid, source := c.BoundTo(), c.OpenID, c.UnionID, c.BoundSource
	uses := imageUses{}
	uses.moved(c.AvatarID, models.Key{})
	e := &models.Erasure{
		AccountID: tx.Account, Key: models.NewKey(), CustomerID: key, Cause: cause, By: by,
		Digest: models.ErasureDigest(tx.Account, openid), AvatarID: c.AvatarID, BegunAt: tx.Now,
	}
	former := c.Erase(tx.Now)
	if !bound.IsZero() {
		advisors, err := tx.LockAdvisors([]models.Key{bound})
		if err != nil {
			return nil, err
		}
		for _, a := range advisors {
			a.CustomerCount--
		}
		if err := tx.UpdateAdvisors(advisors, "customer_count"); err != nil {
			return nil, err
		}
	}
	conv.AdvisorID, conv.Unread, conv.InquiryID = models.Key{}, 0, models.Key{}
	tags, err := tx.EraseCustomer(c, conv)
	if err != nil {
		return nil, err
	}
	e.Tags = int64(tags)
	if !former.IsZero() {
		err := tx.InsertBindings([]*models.Binding{{
			AccountID: tx.Account, Key: models.NewKey(), CustomerID: key, AdvisorID: former, Change: models.BindingUnbound, Source: source, By: by, At: tx.Now,
		}})
		if err != nil {
			return nil, err
		}
		tx.Emit(models.Event{Stream: former, Kind: models.EventCustomerLeft, Customer: key, Primed: &models.Primed{}})
	}
	if err := tx.EraseNames(openid, unionid); err != nil {
		return nil, err
	}
	if err := uses.save(tx, models.ImageForgotten); err != nil {
		return nil, err
	}
	return e, tx.InsertErasure(e)
}

// erasures and unfollowed are the names of the sweeps' leases.
const (
	erasures   = "erasures"
	unfollowed = "unfollowed"
)

// SweepErasures goes on with erasures that were begun, a transaction for each limits.EraseRows rows, and answers
// how many it finished. One that fails does not keep the others waiting; one that waits for an image's file is looked at again after
// limits.EraseRetry. One node does it at a time; two would do no harm.
func (s *Services) SweepErasures(ctx context.Context) (finished int, err error) {
	open, err := s.store.View(ctx).OpenErasures(s.Now(), limits.BatchRows)
	if err != nil || len(open) == 0 {
		return 0, err
	}
	mine, err := s.store.LeaseSweep(ctx, erasures, s.Now().Add(limits.EraseLease))
	if err != nil || !mine {
		return 0, err
	}
	var failed []error
	for _, e := range open {
		done, mine, err := s.finishErasure(ctx, e)
		if failed = append(failed, err); done {
			finished++
		}
		if !mine || ctx.Err() != nil {
			break
		}
	}
	// Given back, so that what is begun now need not wait.
	_, err = s.store.KeepSweep(context.WithoutCancel(ctx), erasures, s.Now())
	return finished, errors.Join(append(failed, err)...)
}

// finishErasure goes on with one to its end, or until it has to wait. It reports whether the sweep's lease is still this node's.
func (s *Services) finishErasure(ctx context.Context, e *models.Erasure) (done, mine bool, err error) {
	for now := s.Now(); e.FinishedAt.IsZero() && e.RetryAt <= now; {
		if mine, err := s.store.KeepSweep(ctx, erasures, s.Now().Add(limits.EraseLease)); err != nil || !mine {
			return false, err == nil && mine, err
		}
		err := s.store.Write(ctx, store.System(), e.AccountID, func(tx *store.Tx) error {
			locked, err := tx.LockErasure(e.Key)
			if err != nil {
				return err
			}
			if e = locked; !e.FinishedAt.IsZero() {
				return nil
			}
			return tx.EraseSome(e)
		})
		if err != nil {
			return false, true, err
		}
	}
	return !e.FinishedAt.IsZero(), true, nil
}

// SweepUnfollowed erases who stopped following so long ago as their account says (rule E12), once each
// limits.UnfollowInterval of all nodes together, and answers how many. Who comes back meanwhile stays. An account of which it
// fails does not keep the others waiting.
func (s *Services) SweepUnfollowed(ctx context.Context) (erased int, err error) {
	mine, err := s.store.LeaseSweep(ctx, unfollowed, s.Now().Add(limits.UnfollowInterval))
	if err != nil || !mine {
		return 0, err
	}
	var failed []error
	err = s.eachAccount(ctx, func(account models.Key) error {
		n, err := s.eraseUnfollowed(ctx, account)
		erased, failed = erased+n, append(failed, err)
		return ctx.Err()
	})
	return erased, errors.Join(append(failed, err)...)
}

func (s *Services) eraseUnfollowed(ctx context.Context, account models.Key) (erased int, err error) {
	for {
		a, err := s.store.View(ctx).Account(account)
		if err != nil {
			return erased, err
		}
		until := a.EraseUnfollowed(s.Now())
		if until <= 0 {
			return erased, nil
		}
		keys, err := s.store.View(ctx).UnfollowedBefore(account, until, limits.BatchRows)
		if err != nil {
			return erased, err
		}
		for _, key := range keys {
			err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
				// The setting may have changed, and so may they.
				a, err := tx.Reader.Account(account)
				if err != nil {
					return err
				}
				until := a.EraseUnfollowed(tx.Now)
				_, err = erase(tx, key, models.ErasureUnfollowed, "", func(c *models.Customer) bool {
					return c.FollowState == models.Unfollowed && c.UnfollowedAt > 0 && c.UnfollowedAt <= until
				})
				return err
			})
			if err != nil {
				return erased, err
			}
			erased++
		}
		if len(keys) < limits.BatchRows {
			return erased, nil
		}
	}
}

// Erasure finds one of the account's: NOT_FOUND.
func (s *Services) Erasure(ctx context.Context, key models.Key) (*models.Erasure, error) {
	c, err := s.begin(ctx, mayErasure)
	if err != nil {
		return nil, err
	}
	e, err := s.store.View(ctx).Erasure(c.Account.Key, key)
	return known(e, err, "erasure", "erasureId")
}

// ErasurePage reads a page of the account's erasures, latest first; with an openid, only of who had it.
func (s *Services) ErasurePage(ctx context.Context, openid models.Ident, p relay.Page) ([]*models.Erasure, error) {
	c, err := s.begin(ctx, mayErasures)
	if err != nil {
		return nil, err
	}
	var digest models.Ident
	if openid != "" {
		digest = models.ErasureDigest(c.Account.Key, openid)
	}
	return s.store.View(ctx).ErasurePage(c.Account.Key, digest, p)
}
