package services

import (
	"context"
	"sync"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// RevokeToken ends a token of the viewer's account by its `jti` (rule V1). expires is its `exp`;
// nil: nobody knows. It answers until when the revocation is in force.
func (s *Services) RevokeToken(ctx context.Context, tokenID string, expires *models.Time) (models.Time, error) {
	c, err := s.begin(ctx, mayRevokeToken)
	if err != nil {
		return 0, err
	}
	if err := checkName(tokenID, "input.tokenId", auth.TokenIDBytes); err != nil {
		return 0, err
	}
	now := s.Now()
	until := now.Add(limits.RevocationLife)
	if expires != nil {
		if until = expires.Add(auth.Leeway); until <= now {
			return 0, models.Invalid("input.expiresAt", "is past: the token is not valid any more")
		}
	}
	row, err := s.revoke(ctx, c, models.Revocation{Kind: models.RevokedToken, Name: models.Ident(tokenID), ExpiresAt: until},
		store.Change{Action: "revokeToken", TargetKind: "Token"})
	if err != nil {
		return 0, err
	}
	return row.ExpiresAt, nil
}

// TokenBearer names whose tokens are meant: an advisor, or whoever has this `sub`.
type TokenBearer struct {
	Advisor *AdvisorRef
	Subject string
}

// RevokeIssuedBefore ends the tokens of a bearer of the viewer's account that were issued before
// an instant (rule V1); nil: now. The instant that counts, the latest ever named for the bearer,
// is the row's IssuedBefore.
func (s *Services) RevokeIssuedBefore(ctx context.Context, of TokenBearer, at *models.Time) (*models.Revocation, error) {
	c, err := s.begin(ctx, mayRevokeIssuedBefore)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	row := models.Revocation{Kind: models.RevokedSubject, Name: models.Ident(of.Subject), IssuedBefore: now, ExpiresAt: now.Add(limits.RevocationLife)}
	if at != nil {
		row.IssuedBefore = *at
	}
	if row.IssuedBefore > now.Add(auth.Leeway) { // who signs with a clock ahead of ours dates tokens so
		return nil, models.Invalid("input.at", "is more than %d seconds ahead", int(auth.Leeway.Seconds()))
	}
	change := store.Change{Action: "revokeTokensIssuedBefore", TargetKind: "Subject"}
	if of.Advisor != nil {
		a, err := s.advisorRef(s.store.View(ctx), c, *of.Advisor, "input.bearer.advisor")
		if err != nil {
			return nil, err
		}
		row.Kind, row.Name = models.RevokedAdvisor, models.Ident(a.Key.String())
		change.TargetKind, change.Target = "Advisor", a.Key
	} else {
		if err := checkName(of.Subject, "input.bearer.subject", auth.SubjectBytes); err != nil {
			return nil, err
		}
	}
	return s.revoke(ctx, c, row, change)
}

func checkName(name, field string, most int) error {
	switch {
	case name == "":
		return models.Invalid(field, "is empty")
	case len(name) > most:
		return models.TooMany(field, most, "has %d bytes, at most %d are allowed", len(name), most)
	}
	return nil
}

// revoke writes a revocation, or moves the instants of the one that is there forwards.
func (s *Services) revoke(ctx context.Context, c *Scope, row models.Revocation, change store.Change) (*models.Revocation, error) {
	account := c.Account.Key
	err := s.store.Write(ctx, c.actor(), account, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		rows, err := tx.Revocations()
		if err != nil {
			return err
		}
		row.AccountID, row.CreatedAt, change.Before = account, tx.Now, nil
		inForce := 1
		for _, r := range rows {
			switch {
			case r.Kind == row.Kind && r.Name == row.Name:
				change.Before = revoked(r)
				row.IssuedBefore, row.ExpiresAt = max(row.IssuedBefore, r.IssuedBefore), max(row.ExpiresAt, r.ExpiresAt)
			case r.ExpiresAt > tx.Now:
				inForce++
			}
		}
		if inForce > limits.RevocationsPerAccount {
			return models.TooMany("input", limits.RevocationsPerAccount, "the account has %d revocations in force", limits.RevocationsPerAccount)
		}
		if err := tx.WriteRevocation(&row); err != nil {
			return err
		}
		change.After = revoked(&row)
		return tx.Audit(change)
	})
	if err != nil {
		return nil, err
	}
	// On this node it holds at once; on others when they look again.
	s.revocations.forget(account)
	return &row, nil
}

// revoked is what the audit log tells of a revocation.
func revoked(r *models.Revocation) map[string]any {
	switch r.Kind {
	case models.RevokedToken:
		return map[string]any{"token": r.Name, "until": r.ExpiresAt.Go()}
	case models.RevokedAdvisor: // the entry is about them
		return map[string]any{"before": r.IssuedBefore.Go()}
	default: // a RevokedSubject
		return map[string]any{"before": r.IssuedBefore.Go(), "subject": r.Name}
	}
}

// revocations keeps what each account has revoked, as it was at most limits.PolicyRecheck ago:
// one small statement an account and node in that time, however many requests ask.
type revocations struct {
	mu        sync.Mutex
	byAccount map[models.Key]*revokedIn
}

// revokedIn is what one account has revoked.
type revokedIn struct {
	mu      sync.Mutex
	set     *models.Revocations // nil: to be read
	at      models.Time
	reading *reading // under way
}

// reading is one statement that all who ask meanwhile wait for.
type reading struct {
	done chan struct{}
	set  *models.Revocations
	err  error
}

func (r *revocations) in(account models.Key) *revokedIn {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byAccount[account]
	if e == nil {
		e = &revokedIn{}
		r.byAccount[account] = e
	}
	return e
}

// forget has what an account revoked read anew; what is being read now may be from before.
func (r *revocations) forget(account models.Key) {
	e := r.in(account)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set, e.reading = nil, nil
}

// revoked is what an account has revoked; with fresh, as it is now. It fails with UNAVAILABLE
// (nobody is let in on what cannot be read) or ctx's error.
func (s *Services) revoked(ctx context.Context, account models.Key, fresh bool) (*models.Revocations, error) {
	e := s.revocations.in(account)
	e.mu.Lock()
	if !fresh && e.set != nil && s.Now() < e.at.Add(limits.PolicyRecheck) {
		defer e.mu.Unlock()
		return e.set, nil
	}
	r := e.reading
	if r == nil {
		r = &reading{done: make(chan struct{})}
		e.reading = r
		// Whoever began it may go; others wait for it.
		go s.readRevoked(context.WithoutCancel(ctx), account, e, r)
	}
	e.mu.Unlock()
	select {
	case <-r.done:
		return r.set, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Services) readRevoked(ctx context.Context, account models.Key, e *revokedIn, r *reading) {
	ctx, cancel := context.WithTimeout(ctx, limits.OperationTime)
	defer cancel()
	now := s.Now()
	rows, err := s.store.Revocations(ctx, account, now)
	r.set, r.err = models.NewRevocations(rows), unavailable(err)
	e.mu.Lock()
	if e.reading == r { // nothing was revoked meanwhile
		e.reading = nil
		if err == nil {
			e.set, e.at = r.set, now
		}
	}
	e.mu.Unlock()
	close(r.done)
}

// covered reports whether a viewer's token is among what was revoked; advisor is who the token
// names, nil when that is nobody or not known.
func covered(r *models.Revocations, v *auth.Viewer, advisor *models.Advisor) bool {
	var key models.Key
	if advisor != nil {
		key = advisor.Key
	} else if v.SubjectKind == auth.SubjectID {
		key, _ = models.ParseKey(v.SubjectValue)
	}
	var issued models.Time
	if !v.IssuedAt.IsZero() {
		issued = models.At(v.IssuedAt)
	}
	return r.Covers(v.TokenID, v.Subject, key, issued)
}

// notRevoked fails with UNAUTHENTICATED when the token of c is revoked (rule V1).
func (s *Services) notRevoked(ctx context.Context, c *Scope) error {
	r, err := s.revoked(ctx, c.Account.Key, false)
	if err != nil {
		return err
	}
	if covered(r, c.Viewer, c.Advisor) {
		return models.Errorf(models.CodeUnauthenticated, "the token was revoked")
	}
	return nil
}

// Admit is asked about a token that begins a connection or an operation: UNAUTHENTICATED when it
// is revoked and its claims alone tell. What else may be wrong with it is found when the
// operation asks for something, and so is this where the database cannot be asked now.
func (s *Services) Admit(ctx context.Context, v *auth.Viewer) error {
	account, ok := models.ParseKey(v.Account)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limits.OperationTime)
	defer cancel()
	if r, err := s.revoked(ctx, account, false); err == nil && covered(r, v, nil) {
		return models.Errorf(models.CodeUnauthenticated, "the token was revoked")
	}
	return nil
}
