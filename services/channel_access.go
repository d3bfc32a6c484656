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
		return change, errors.Join(tx.DeleteAccessToken(), tx.DeleteChannelFaults(), wakeWaiting(tx))
	})
	if err != nil {
		return nil, err
	}
	s.access.forget(a.Key)
	s.wakeChannelWork()
	return a, nil
}

// wakeWaiting has the account's platform be asked, now, what waits to be asked.
func wakeWaiting(tx *store.Tx) error {
	codes, err := tx.WaitingQRCodes(tx.Account, 1)
	if err != nil || len(codes) == 0 {
		return err
	}
	return tx.WakeChannelWork(models.APIQRCodes)
}

// channelAccess is what this node remembers of accounts' platforms.
type channelAccess struct {
	mu   sync.Mutex
	seen map[models.Key]*accountAccess
}

// accountAccess is what is remembered of one account's platform. Whoever asks for a new token holds renewing.
type accountAccess struct {
	renewing sync.Mutex

	mu      sync.Mutex
	token   string
	renewAt models.Time
	faults  map[models.ChannelAPI]models.Time
	// until is how long the faults hold as they were read.
	until models.Time
}

func (c *channelAccess) of(account models.Key) *accountAccess {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.seen[account]
	if a == nil {
		a = &accountAccess{}
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
	access.renewing.Lock()
	defer access.renewing.Unlock()
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
	var a *models.Account
	var row *models.AccessToken
	mine := false
	err = s.store.Write(ctx, store.System(), account, func(tx *store.Tx) (err error) {
		mine, token = false, ""
		if a, err = tx.LockAccount(); err != nil {
			return err
		}
		if !a.HasAppSecret() {
			return ErrNoSecret
		}
		if row, err = tx.AccessToken(account); err != nil {
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
			row = &models.AccessToken{AccountID: account}
		}
		// What no key opens any more is as good as none.
		if open, err := s.unseal(account, sealAccessToken, [][]byte{row.Sealed}); err == nil && len(open) == 1 && open[0] != refused {
			token = open[0]
		}
		switch {
		case token != "" && tx.Now < row.RenewAt:
			return nil
		case tx.Now < row.LeasedUntil:
			return nil
		}
		mine, row.LeasedUntil = true, tx.Now.Add(limits.ChannelTime+limits.OperationTime)
		return tx.PutAccessToken(row)
	})
	switch {
	case err != nil:
		return "", false, err
	case !mine && token != "" && s.Now() < row.RenewAt:
		access.keep(token, row.RenewAt)
		return token, false, nil
	case !mine && token != "" && s.Now() < row.ExpiresAt:
		return token, false, nil // good until another node has the next
	case !mine:
		return "", true, nil
	}
	return s.renewToken(ctx, access, a, row, renew)
}

// renewToken asks for a token under the lease and writes it, or gives the lease back.
func (s *Services) renewToken(ctx context.Context, access *accountAccess, a *models.Account, row *models.AccessToken,
	renew func(ctx context.Context, appID, secret string) (string, time.Duration, error),
) (string, bool, error) {
	secret, err := s.unseal(a.Key, sealAppSecret, [][]byte{a.SealedAppSecret})
	if err != nil {
		return "", false, err
	}
	asked := s.Now()
	call, cancel := context.WithTimeout(ctx, limits.ChannelTime)
	token, life, failed := renew(call, string(a.AppID), secret[0])
	cancel()
	leased := row.LeasedUntil
	if failed == nil {
		row.Sealed, row.ExpiresAt = s.ring.Seal(a.Key, sealAccessToken, []byte(token)), asked.Add(life)
		row.RenewAt = asked.Add(max(life-limits.AccessTokenEarly, life/2))
	}
	done, cancel := recorded(ctx)
	defer cancel()
	err = s.store.Write(done, store.System(), a.Key, func(tx *store.Tx) error {
		now, err := tx.LockAccount()
		if err != nil {
			return err
		}
		stands, err := tx.AccessToken(a.Key)
		if errors.Is(err, store.ErrNotFound) || err == nil && stands.LeasedUntil != leased || string(now.SealedAppSecret) != string(a.SealedAppSecret) {
			return nil // the lease ran out, or the secret is another by now
		}
		if err != nil {
			return err
		}
		row.LeasedUntil = 0
		return tx.PutAccessToken(row)
	})
	if failed != nil {
		return "", false, errors.Join(failed, err)
	}
	if err != nil {
		return "", false, err
	}
	access.keep(token, row.RenewAt)
	return token, false, nil
}

// ChannelClosed answers until when a part of an account's platform is not to be asked; 0: it may be. It may be limits.PolicyRecheck behind other
// nodes.
func (s *Services) ChannelClosed(ctx context.Context, account models.Key, api models.ChannelAPI) (models.Time, error) {
	access := s.access.of(account)
	now := s.Now()
	access.mu.Lock()
	defer access.mu.Unlock()
	if now >= access.until {
		rows, err := s.store.View(ctx).ChannelFaults(account)
		if err != nil {
			return 0, err
		}
		access.faults = make(map[models.ChannelAPI]models.Time, len(rows))
		for _, f := range rows {
			access.faults[f.API] = f.Until
		}
		access.until = now.Add(limits.PolicyRecheck)
	}
	if until := access.faults[api]; until > now {
		return until, nil
	}
	return 0, nil
}

// CloseChannel keeps all nodes from asking a part of an account's platform until an instant, because it answered with this number.
func (s *Services) CloseChannel(ctx context.Context, account models.Key, api models.ChannelAPI, until models.Time, code int) error {
	ctx, cancel := recorded(ctx)
	defer cancel()
	err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		rows, err := tx.ChannelFaults(account)
		if err != nil {
			return err
		}
		fault := &models.ChannelFault{AccountID: account, API: api, Code: code, Since: tx.Now, Until: until}
		for _, f := range rows {
			if f.API != api {
				continue
			}
			fault.Until = max(fault.Until, f.Until)
			if f.Until.Add(limits.ChannelFaultGap) > tx.Now && f.Code == code {
				fault.Since = f.Since
			}
		}
		return tx.PutChannelFault(fault)
	})
	access := s.access.of(account)
	access.mu.Lock()
	access.until = 0 // read anew
	access.mu.Unlock()
	return err
}

// ChannelFaults reads why parts of an account's platform are not asked now. Whose it is has been asked: see MayReadCallback.
func (s *Services) ChannelFaults(ctx context.Context, account models.Key) ([]*models.ChannelFault, error) {
	rows, err := s.store.View(ctx).ChannelFaults(account)
	open := make([]*models.ChannelFault, 0, len(rows))
	for _, f := range rows {
		if f.Until > s.Now() {
			open = append(open, f)
		}
	}
	return open, err
}
