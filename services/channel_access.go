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

// Fields under which what the platform is asked with is sealed.
const (
	sealAppSecret   = "app.secret"
	sealAccessToken = "app.access_token"
)

// ErrNoSecret is what a channel meets that is asked for an account without an app secret: nobody can be
// asked until it is set.
var ErrNoSecret = errors.New("the account has no app secret")

// SetAppSecret seals and keeps the secret with which the account's platform is asked (rule A4). The one before is gone at once, as it is on
// the platform, and so is every reason for not asking. STATE on a channel without one.
func (s *Services) SetAppSecret(ctx context.Context, secret string) (*models.Account, error) {
	c, err := s.begin(ctx, maySetAppSecret)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Account.Channel != models.ChannelWechat:
		return nil, models.Errorf(models.CodeState, "the account's channel has no app secret")
	case !appSecret.MatchString(secret):
		return nil, models.Invalid("input.secret", "is not %d to %d letters and digits", limits.AppSecretMin, limits.AppSecretMax)
	}
	a, err := s.changeAccount(ctx, c, c.Account.Key, maySetAppSecret.Field, func(tx *store.Tx, a *models.Account) (accountChange, error) {
		was := a.HasAppSecret()
		a.SealedAppSecret = s.ring.Seal(a.Key, sealAppSecret, []byte(secret))
		change := accountChange{[]string{"sealed_app_secret"}, map[string]any{"isSet": was}, map[string]any{"isSet": true}}
		return change, mended(tx)
	})
	if err != nil {
		return nil, err
	}
	s.access.forget(a.Key)
	s.wakeChannelWork()
	s.wakeDeliveries()
	return a, nil
}

// mended has the account's platform be asked, now, for what waits: all the codes that it does not know, which an account gathers before it has a
// secret, and messages.
func mended(tx *store.Tx) error {
	for _, step := range []func() error{
		tx.DeleteAccessToken, tx.DeleteChannelFaults, tx.RestartGate, tx.WakeAllChannelWork,
		func() error { return tx.WakeChannelWork(models.APIQRCodes) }, tx.AwaitQRCodes,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// channelAccess is what this node remembers of accounts' platforms.
type channelAccess struct {
	mu   sync.Mutex
	seen map[models.Key]*accountAccess
}

// accountAccess is what is remembered of one account's platform. Whoever asks for a new token has put something into renewing.
type accountAccess struct {
	renewing chan struct{}

	mu      sync.Mutex
	token   string
	renewAt models.Time
	faults  map[models.ChannelAPI]*models.ChannelFault
	// until is how long the faults hold as they were read.
	until models.Time
}

func (c *channelAccess) of(account models.Key) *accountAccess {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.seen[account]
	if a == nil {
		a = &accountAccess{renewing: make(chan struct{}, 1)}
		c.seen[account] = a
	}
	return a
}

func (c *channelAccess) forget(account models.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, account)
}

// AccessToken answers what an account's platform is asked with, the same on all nodes. refused is one that the platform does not take
// any more; empty: none. When there is none to be had, one caller of one node asks for it by renew, which answers it with how long it
// is good for, and the others wait. ErrNoSecret without an app secret; the errors of renew.
func (s *Services) AccessToken(ctx context.Context, account models.Key, refused string,
	renew func(ctx context.Context, appID, secret string) (token string, life time.Duration, err error),
) (string, error) {
	access := s.access.of(account)
	if token, fresh := access.current(s.Now(), refused); fresh {
		return token, nil
	}
	select {
	case access.renewing <- struct{}{}:
		defer func() { <-access.renewing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	for {
		if token, fresh := access.current(s.Now(), refused); fresh {
			return token, nil
		}
		token, wait, err := s.nextToken(ctx, access, account, refused, renew)
		if err != nil || !wait {
			return token, err
		}
		again := time.NewTimer(limits.AccessTokenLook) // another node is asking
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return "", ctx.Err()
		}
	}
}

// current is the token that this node knows of; fresh: it may be used.
func (a *accountAccess) current(now models.Time, refused string) (token string, fresh bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token, a.token != "" && a.token != refused && now < a.renewAt
}

func (a *accountAccess) keep(token string, renewAt models.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.renewAt = token, renewAt
}

// nextToken takes the token of the database, or leases the asking for a new one and asks. wait: another node is asking, and there is
// none to be used meanwhile.
func (s *Services) nextToken(ctx context.Context, access *accountAccess, account models.Key, refused string,
	renew func(ctx context.Context, appID, secret string) (string, time.Duration, error),
) (token string, wait bool, err error) {
	var row *models.AccessToken
	renewal := &renewal{s: s, access: access}
	mine := false
	err = s.store.Write(ctx, store.System(), account, func(tx *store.Tx) (err error) {
		mine, token = false, ""
		if renewal.account, err = tx.LockAccount(); err != nil {
			return err
		}
		if !renewal.account.HasAppSecret() {
			return ErrNoSecret
		}
		if row, err = tx.AccessToken(account); err != nil {
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
			row = &models.AccessToken{AccountID: account}
		}
		// What no key opens any more is as good as none.
		if open, err := s.unseal(account, sealAccessToken, [][]byte{row.Sealed}); err == nil && len(open) == 1 && open[0] != refused && tx.Now < row.ExpiresAt {
			token = open[0]
		}
		if token != "" && tx.Now < row.RenewAt || tx.Now < row.LeasedUntil {
			return nil
		}
		if renewal.secret, err = s.unseal(account, sealAppSecret, [][]byte{renewal.account.SealedAppSecret}); err != nil {
			return err
		}
		mine, row.LeasedUntil = true, tx.Now.Add(limits.ChannelTime+limits.OperationTime)
		return tx.PutAccessToken(row)
	})
	switch {
	case err != nil:
		return "", false, err
	case mine:
		renewal.row, renewal.token = row, token
		token, err = renewal.run(ctx, renew)
		return token, false, err
	case token != "" && s.Now() < row.RenewAt:
		access.keep(token, row.RenewAt)
	}
	return token, token == "", nil // one that is near its end is good until another node has the next
}

// renewal is a lease of the asking for an account's next access token.
type renewal struct {
	s       *Services
	access  *accountAccess
	account *models.Account
	secret  []string
	row     *models.AccessToken
	// token is the one there is, good for a while; empty: there is none.
	token string
}

// RefusedAccess is the platform's refusal of an access token: it is not asked for one until an instant, for this secret.
type RefusedAccess struct {
	Until models.Time
	Code  int
	Err   error
}

// Error implements error.
func (r *RefusedAccess) Error() string { return r.Err.Error() }

// Unwrap is what the channel says.
func (r *RefusedAccess) Unwrap() error { return r.Err }

// run asks for a token under the lease and writes it, or gives the lease back. While the one there is is good, a failure fails nobody.
func (r *renewal) run(ctx context.Context, renew func(ctx context.Context, appID, secret string) (string, time.Duration, error)) (string, error) {
	asked := r.s.Now()
	call, cancel := context.WithTimeout(ctx, limits.ChannelTime)
	token, life, failed := renew(call, string(r.account.AppID), r.secret[0])
	cancel()
	leased := r.row.LeasedUntil
	r.row.LeasedUntil = 0
	switch {
	case failed == nil:
		r.row.Sealed, r.row.ExpiresAt = r.s.ring.Seal(r.account.Key, sealAccessToken, []byte(token)), asked.Add(life)
		r.row.RenewAt = asked.Add(max(life-limits.AccessTokenEarly, life/2))
	case r.token != "":
		r.s.log.WarnContext(ctx, "the access token was not renewed and is good for a while", "account", r.account.Key.String(), "error", failed)
		token, r.row.RenewAt = r.token, min(asked.Add(limits.AccessTokenAgain), r.row.ExpiresAt)
	}
	done, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.ChannelRecordTime)
	defer cancel()
	err := r.s.store.Write(done, store.System(), r.account.Key, func(tx *store.Tx) error { return r.write(tx, leased, failed) })
	if token == "" {
		return "", errors.Join(failed, err)
	}
	if err != nil {
		return "", err
	}
	r.access.keep(token, r.row.RenewAt)
	return token, nil
}

// write writes what came of it, unless the lease ran out or the secret is another by now.
func (r *renewal) write(tx *store.Tx, leased models.Time, failed error) error {
	now, err := tx.LockAccount()
	if err != nil {
		return err
	}
	stands, err := tx.AccessToken(tx.Account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case stands.LeasedUntil != leased || string(now.SealedAppSecret) != string(r.account.SealedAppSecret):
		return nil
	}
	var refused *RefusedAccess
	if r.token == "" && errors.As(failed, &refused) {
		if err := putFault(tx, models.APIAccessToken, refused.Until, refused.Code); err != nil {
			return err
		}
		defer r.access.look()
	}
	return tx.PutAccessToken(r.row)
}

// ChannelClosed answers until when a part of an account's platform is not to be asked, and the platform's number for why; 0: it may be. It may be
// limits.PolicyRecheck behind other nodes.
func (s *Services) ChannelClosed(ctx context.Context, account models.Key, api models.ChannelAPI) (until models.Time, code int, err error) {
	access := s.access.of(account)
	now := s.Now()
	access.mu.Lock()
	defer access.mu.Unlock()
	if now >= access.until {
		rows, err := s.store.View(ctx).ChannelFaults(account)
		if err != nil {
			return 0, 0, err
		}
		access.faults = make(map[models.ChannelAPI]*models.ChannelFault, len(rows))
		for _, f := range rows {
			access.faults[f.API] = f
		}
		access.until = now.Add(limits.PolicyRecheck)
	}
	if f := access.faults[api]; f != nil && f.Until > now {
		return f.Until, f.Code, nil
	}
	return 0, 0, nil
}

// CloseChannel keeps all nodes from asking a part of an account's platform until an instant, because it answered with this number.
func (s *Services) CloseChannel(ctx context.Context, account models.Key, api models.ChannelAPI, until models.Time, code int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.ChannelRecordTime)
	defer cancel()
	defer s.access.of(account).look()
	return s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		return putFault(tx, api, until, code)
	})
}

// look has the faults be read anew.
func (a *accountAccess) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = 0
}

// putFault writes a fault under the lock of the account. Of two that overlap the one that ends later stands.
func putFault(tx *store.Tx, api models.ChannelAPI, until models.Time, code int) error {
	rows, err := tx.ChannelFaults(tx.Account)
	if err != nil {
		return err
	}
	fault := &models.ChannelFault{AccountID: tx.Account, API: api, Code: code, Since: tx.Now, Until: until}
	for _, f := range rows {
		switch {
		case f.API != api:
		case f.Until > until:
			return nil
		case f.Until.Add(limits.ChannelFaultGap) > tx.Now && f.Code == code:
			fault.Since = f.Since
		}
	}
	return tx.PutChannelFault(fault)
}

// HasAppSecret reports whether an account that the viewer was shown can ask its platform (rule A4); nil on a channel without a secret, and for who may not know.
func (s *Services) HasAppSecret(ctx context.Context, a *models.Account) *bool {
	if a.Channel != models.ChannelWechat || !s.MayReadCallback(ctx) {
		return nil
	}
	has := a.HasAppSecret()
	return &has
}

// ChannelFaults reads why parts of the platform of an account that the viewer was shown are not asked now; nil for who may not know.
func (s *Services) ChannelFaults(ctx context.Context, a *models.Account) ([]*models.ChannelFault, error) {
	if !s.MayReadCallback(ctx) {
		return nil, nil
	}
	rows, err := s.store.View(ctx).ChannelFaults(a.Key)
	open := make([]*models.ChannelFault, 0, len(rows))
	for _, f := range rows {
		if f.Until > s.Now() {
			open = append(open, f)
		}
	}
	return open, err
}
