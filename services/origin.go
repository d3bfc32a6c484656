package services

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// origin is what is known of a follower of whom the platform was asked where they come from (rule E3). It goes through the lanes, so that it is
// settled under the customer's lock, in a transaction with the row that waits for it: never twice, and not of a following that has ended.
type origin struct {
	customer   models.Key
	followedAt models.Time // of the row that waits
	// info is what the platform said; zero: nothing.
	info FollowerInfo
	// over: it is not asked again.
	over bool
}

// await has the platform be asked of who follows just now, where it can be: of who came by no code or advertisement that we know of, and of
// whose unionid is not known. It reports whether what becomes of them waits for the answer: where advertisements lead somewhere.
func (b *inboundBatch) await(c *models.Customer, in models.Inbound) (waits bool) {
	if _, has := b.s.directory(b.account); !has || !b.account.HasAppSecret() {
		return false
	}
	waits = in.Scene == "" && in.Ad == nil && b.account.IsOpen() && !b.account.AdGroup.IsZero() && c.BoundTo().IsZero()
	if !waits && c.UnionID != "" {
		return false
	}
	if b.waits == nil {
		b.waits = map[models.Key]*models.WaitingFollow{}
	}
	b.waits[c.Key] = &models.WaitingFollow{AccountID: b.tx.Account, CustomerID: c.Key, FollowedAt: c.FollowedAt, Decides: waits, Since: b.tx.Now}
	return waits
}

// loadOrigins reads the rows that wait for the batch's origins, and who has the unionids. It answers whether something waits for them, and the account's
// group for advertisements if one of them came by that.
func (b *inboundBatch) loadOrigins() (decides bool, ads []models.Key, err error) {
	keys := make([]models.Key, len(b.origins))
	var unionids []models.Ident
	for i, o := range b.origins {
		keys[i] = o.customer
		if o.info.UnionID != "" {
			unionids = append(unionids, o.info.UnionID)
		}
	}
	rows, err := b.tx.WaitingFollowsOf(b.tx.Account, keys)
	if err != nil {
		return false, nil, err
	}
	b.waiting = make(map[models.Key]*models.WaitingFollow, len(rows))
	for _, w := range rows {
		b.waiting[w.CustomerID] = w
		decides = decides || w.Decides
	}
	for _, o := range b.origins {
		if o.info.Advertised && decides && !b.account.AdGroup.IsZero() {
			ads = []models.Key{b.account.AdGroup}
		}
	}
	have, err := b.tx.CustomersByUnionID(b.tx.Account, unionids)
	b.byUnionID = make(map[models.Ident]models.Ident, len(have))
	for _, c := range have {
		b.byUnionID[c.UnionID] = c.OpenID
	}
	return decides, ads, err
}

// settle does what waited for an origin (rules E3, E4, E12), unless the following that it is about has ended, another answer came first, or they
// have an advisor by now.
func (b *inboundBatch) settle(i int, o *origin) error {
	w := b.waiting[o.customer]
	if w == nil || w.FollowedAt != o.followedAt {
		return nil
	}
	delete(b.waiting, o.customer)
	if o.over {
		b.answered = append(b.answered, w)
	} else if w.Decides {
		still := *w
		still.Decides = false
		b.undecided = append(b.undecided, &still)
	}
	c := b.byKey(o.customer)
	if c == nil || c.FollowState != models.Following || c.FollowedAt != w.FollowedAt {
		return nil
	}
	conv := b.conversations[c.Key]
	learned, bad := learn(c, o.info.UnionID, b.byUnionID, b.advisors)
	if bad != nil {
		b.s.log.Info("a follower's unionid is not taken", "account", b.tx.Account.String(), "customer", c.Key.String(), "error", bad)
	}
	if learned {
		b.learned, b.changed[c.Key] = true, true
	}
	if w.Decides && c.BoundTo().IsZero() {
		b.changed[c.Key] = true
		if err := b.decide(c, conv, o); err != nil {
			return err
		}
	} else if learned {
		b.tell(c, conv)
	}
	b.results[i] = InboundResult{Customer: c}
	return nil
}

// decide is the end of a follow of which it was not known whether it came by an advertisement.
func (b *inboundBatch) decide(c *models.Customer, conv *models.Conversation, o *origin) error {
	byAd := o.info.Advertised && !b.account.AdGroup.IsZero()
	if byAd {
		outcome, err := b.advertised(c, conv, models.Inbound{At: o.followedAt, Ad: &models.InboundAd{}})
		if err != nil {
			return err
		}
		if outcome == models.ScanBound {
			b.greet(c, conv)
			return nil
		}
	}
	if b.resume(c, conv); !c.AdvisorID.IsZero() { // restored, or waiting for the account to open
		b.tell(c, conv)
		return nil
	}
	if byAd && !b.account.AutoAssignAfterCode {
		return nil
	}
	return b.autoAssign(c, conv)
}

// byKey is a customer of the batch.
func (b *inboundBatch) byKey(key models.Key) *models.Customer {
	for _, c := range b.customers {
		if c.Key == key {
			return c
		}
	}
	return nil
}

// saveWaiting writes of whom the platform is to be asked from now on.
func (b *inboundBatch) saveWaiting() error {
	waits := b.undecided
	for _, w := range b.waits {
		waits = append(waits, w)
	}
	if err := errors.Join(b.tx.DeleteWaitingFollows(b.answered), b.tx.PutWaitingFollows(waits)); err != nil || len(b.waits) == 0 {
		return err
	}
	return b.tx.WakeFollowerInfo()
}

// askOrigins implements channelWorker: it asks the platform of up to limits.FollowersInfo followers. Where it does not answer for
// limits.OriginPatience, or nobody can be asked, what waits goes on without an answer; of whom it does not speak, or refuses to, it is not asked again.
func (s *Services) askOrigins(ctx context.Context, account *models.Account, t *turn) error {
	var infos map[models.Ident]FollowerInfo
	for n := range limits.ChannelWorkTurn {
		waiting, openids, err := s.waitingOrigins(ctx, account.Key)
		if err != nil {
			return err
		}
		if n == 0 {
			infos, t.failed = s.originsOf(ctx, account, openids)
		}
		var origins []*origin
		for _, w := range waiting {
			if o := originOf(w, openids, infos, t.failed, s.Now()); o != nil {
				origins = append(origins, o)
			}
		}
		if err := s.settleOrigins(ctx, account.Key, openids, origins); err != nil {
			t.failed = errors.Join(t.failed, err)
			break
		}
		if t.failed == nil || len(origins) == 0 {
			break
		}
	}
	return t.record(ctx, func(tx *store.Tx) (left models.Time, none bool, err error) {
		next, err := tx.WaitingFollows(tx.Account, 1)
		if err != nil || len(next) == 0 {
			return 0, true, err
		}
		if next[0].Decides {
			t.by = max(next[0].Since.Add(limits.OriginPatience), tx.Now.Add(time.Second))
		}
		return tx.Now, false, nil
	})
}

// waitingOrigins reads the followers of whom the platform is to be asked next, with their openids; who has none was erased.
func (s *Services) waitingOrigins(ctx context.Context, account models.Key) ([]*models.WaitingFollow, map[models.Key]models.Ident, error) {
	r := s.store.View(ctx)
	waiting, err := r.WaitingFollows(account, limits.FollowersInfo)
	if err != nil {
		return nil, nil, err
	}
	keys := make([]models.Key, len(waiting))
	for i, w := range waiting {
		keys[i] = w.CustomerID
	}
	customers, err := r.Customers(account, keys)
	openids := make(map[models.Key]models.Ident, len(customers))
	for _, c := range customers {
		if c.ErasedAt.IsZero() {
			openids[c.Key] = c.OpenID
		}
	}
	return waiting, openids, err
}

// originsOf asks the platform of followers. Its error says why they are to be asked of again.
func (s *Services) originsOf(ctx context.Context, account *models.Account, openids map[models.Key]models.Ident) (map[models.Ident]FollowerInfo, error) {
	directory, has := s.directory(account)
	if !has {
		return nil, errCannotAsk
	}
	if len(openids) == 0 {
		return nil, nil //nolint:nilnil // none.
	}
	ctx, cancel := context.WithTimeout(ctx, limits.ChannelTime)
	defer cancel()
	all, err := directory.FollowersInfo(ctx, account, slices.Collect(maps.Values(openids)))
	var refused *models.Error
	if errors.As(err, &refused) {
		s.log.WarnContext(ctx, "a platform refuses to tell of followers", "account", account.Key.String(), "error", refused)
		return nil, nil //nolint:nilnil // of none.
	}
	infos := make(map[models.Ident]FollowerInfo, len(all))
	for _, i := range all {
		if i.check() == nil {
			infos[i.OpenID] = i
		}
	}
	return infos, err
}

// originOf is what is to be settled now of a follower who waits; nil: they go on waiting.
func originOf(w *models.WaitingFollow, openids map[models.Key]models.Ident, infos map[models.Ident]FollowerInfo, failed error, now models.Time) *origin {
	o := &origin{customer: w.CustomerID, followedAt: w.FollowedAt}
	openid, has := openids[w.CustomerID]
	nobody := errors.Is(failed, ErrNoSecret) || errors.Is(failed, errCannotAsk)
	switch {
	case !has || now >= w.Since.Add(limits.OriginKept):
		o.over = true
	case failed == nil:
		o.info, o.over = infos[openid], true
	case !w.Decides || !nobody && now < w.Since.Add(limits.OriginPatience):
		return nil
	}
	return o
}

// settleOrigins has the lanes settle them, and waits until they have.
func (s *Services) settleOrigins(ctx context.Context, account models.Key, openids map[models.Key]models.Ident, origins []*origin) error {
	ctx, cancel := recorded(ctx)
	defer cancel()
	items := make([]*inboundItem, 0, len(origins))
	var failed error
	for _, o := range origins {
		it := &inboundItem{account: account, in: models.Inbound{OpenID: string(openids[o.customer])}, origin: o, done: make(chan struct{})}
		if failed = s.lanes.put(it); failed != nil {
			break
		}
		items = append(items, it)
	}
	for _, it := range items {
		select {
		case <-it.done:
			failed = errors.Join(failed, it.err)
		case <-ctx.Done():
			return errors.Join(failed, ctx.Err())
		}
	}
	return failed
}
