package services

import (
	"context"
	"errors"
	"sync"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Scope is who asks and what is theirs, as the database says.
type Scope struct {
	Viewer    *auth.Viewer
	RequestID string
	// Address is where the request came from, for the audit log; empty: not known.
	Address string
	// Account is nil for PLATFORM.
	Account *models.Account
	// Advisor is nil for every role but ADVISOR.
	Advisor *models.Advisor
	// refusal says why an ADVISOR may not serve (rules B3, V7); nil: they may.
	refusal error

	// mass is the account's mass sends to all followers, once they were read; see ledger.
	massMu sync.Mutex
	mass   *models.MassSends

	policyOnce sync.Once
	policy     models.Policy
}

// contactPolicy is the account's policy, made when first asked for: a page of conversations asks
// for each. Whoever writes asks the account of its transaction.
func (c *Scope) contactPolicy() models.Policy {
	c.policyOnce.Do(func() { c.policy = c.Account.Policy() })
	return c.policy
}

// ledger is a conversation's ledger with the mass sends to all followers that it lacks. They are
// read when the first ledger lacks one: a page of conversations asks once.
func (c *Scope) ledger(r *store.Reader, customer *models.Customer, conv *models.Conversation, now models.Time) (models.Contact, error) {
	if c.Account.MassHead <= conv.MassSeen {
		return conv.Contact, nil
	}
	c.massMu.Lock()
	defer c.massMu.Unlock()
	if c.mass == nil {
		all, err := massSends(r, c.Account, now)
		if err != nil {
			return conv.Contact, err
		}
		c.mass = &all
	}
	return conv.Contact.CaughtUp(*c.mass, customer), nil
}

// actor is the scope as the audit log names it.
func (c *Scope) actor() store.Actor {
	return store.Actor{Role: string(c.Viewer.Role), Subject: c.Viewer.Subject, TokenID: c.Viewer.TokenID, RequestID: c.RequestID, Address: c.Address}
}

// by is the scope as a row names who made it.
func (c *Scope) by() string { return string(c.Viewer.Role) + ":" + c.Viewer.Subject }

type (
	scopeKey   struct{}
	addressKey struct{}
)

type scopeHolder struct {
	viewer    *auth.Viewer
	requestID string
	once      sync.Once
	scope     *Scope
	err       error
}

// WithViewer gives a context for one query, or one mutation, of a viewer (nil: nobody came with a token). The
// account and the advisor are read once, when first asked for.
func WithViewer(ctx context.Context, v *auth.Viewer, requestID string) context.Context {
	return context.WithValue(ctx, scopeKey{}, &scopeHolder{viewer: v, requestID: requestID})
}

// WithAddress gives a context whose operations came from a network address, for the audit log.
func WithAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// WithScope gives a context for what is done under a scope that is known already: a pushed event.
func WithScope(ctx context.Context, c *Scope) context.Context {
	h := &scopeHolder{viewer: c.Viewer, requestID: c.RequestID, scope: c}
	h.once.Do(func() {})
	return context.WithValue(ctx, scopeKey{}, h)
}

// scope is the scope of a context: UNAUTHENTICATED without a viewer, or when the account or the
// advisor of the token does not exist.
func (s *Services) scope(ctx context.Context) (*Scope, error) {
	h, ok := ctx.Value(scopeKey{}).(*scopeHolder)
	if !ok || h.viewer == nil {
		return nil, models.Errorf(models.CodeUnauthenticated, "a token is required")
	}
	h.once.Do(func() { h.scope, h.err = s.resolve(ctx, h.viewer, h.requestID) })
	return h.scope, h.err
}

func (s *Services) resolve(ctx context.Context, v *auth.Viewer, requestID string) (*Scope, error) {
	c := &Scope{Viewer: v, RequestID: requestID}
	c.Address, _ = ctx.Value(addressKey{}).(string)
	if v.Role == auth.RolePlatform {
		return c, nil
	}
	unknown := models.Errorf(models.CodeUnauthenticated, "the token names nobody here")
	key, ok := models.ParseKey(v.Account)
	if !ok {
		return nil, unknown
	}
	if v.Role == auth.RoleAdvisor {
		if err := s.resolveAdvisor(ctx, c, key); err != nil {
			return nil, orUnknown(err, unknown)
		}
	} else {
		var err error
		if c.Account, err = s.store.View(ctx).Account(key); err != nil {
			return nil, orUnknown(err, unknown)
		}
	}
	if err := s.notRevoked(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// recentAccount is an account as it was at most limits.PolicyRecheck ago, for decisions that
// are asked again with every event.
func (s *Services) recentAccount(ctx context.Context, key models.Key) (*models.Account, error) {
	now := s.Now()
	s.recentMu.Lock()
	r, ok := s.recent[key]
	s.recentMu.Unlock()
	if ok && now < r.at.Add(limits.PolicyRecheck) {
		return r.account, nil
	}
	a, err := s.store.View(ctx).Account(key)
	if err != nil {
		return nil, unavailable(err)
	}
	s.remember(a)
	return a, nil
}

func (s *Services) remember(a *models.Account) {
	s.recentMu.Lock()
	defer s.recentMu.Unlock()
	s.recent[a.Key] = recent{account: a, at: s.Now()}
}

// recent is an account and when it was read.
type recent struct {
	account *models.Account
	at      models.Time
}

func orUnknown(err error, unknown *models.Error) error {
	if errors.Is(err, store.ErrNotFound) {
		return unknown
	}
	return err
}

// resolveAdvisor reads an advisor's account and row (rule V1): in the snapshot of ctx, or together
// with all who come at the same time. ErrNotFound when either is not there.
func (s *Services) resolveAdvisor(ctx context.Context, c *Scope, account models.Key) error {
	name, ok := nameOf(c.Viewer)
	if !ok {
		return store.ErrNotFound
	}
	var read *people
	var err error
	if s.store.InSnapshot(ctx) {
		read = &people{names: []advisorName{name}}
		err = s.readPeople(ctx, account, read)
	} else {
		read, err = s.people.ask(ctx, account, func(p *people) int {
			p.names = append(p.names, name)
			return len(p.names)
		})
	}
	if err != nil {
		return err
	}
	if c.Account, c.Advisor = read.account, read.advisors[name]; c.Advisor == nil {
		return store.ErrNotFound
	}
	c.refusal = s.mayServe(c)
	return nil
}

// advisorName is what a token calls its advisor: a value of a column, or a key.
type advisorName struct {
	column store.AdvisorIdent
	value  models.Ident
	key    models.Key
}

// nameOf is what a viewer's token calls its advisor, if anything.
func nameOf(v *auth.Viewer) (advisorName, bool) {
	switch v.SubjectKind {
	case auth.SubjectOpenID:
		return advisorName{column: store.AdvisorOpenID, value: models.Ident(v.SubjectValue)}, true
	case auth.SubjectExternal:
		return advisorName{column: store.AdvisorExternalID, value: models.Ident(v.SubjectValue)}, true
	case auth.SubjectID:
		key, ok := models.ParseKey(v.SubjectValue)
		return advisorName{key: key}, ok
	case auth.SubjectNone:
	}
	return advisorName{}, false
}

// people are advisors of one account that are read together.
type people struct {
	names    []advisorName
	account  *models.Account
	advisors map[advisorName]*models.Advisor
}

// readPeople reads the account and the advisors with one statement each, or one a column where
// tokens name them differently.
func (s *Services) readPeople(ctx context.Context, account models.Key, p *people) error {
	r := s.store.View(ctx)
	var err error
	if p.account, err = r.Account(account); err != nil {
		return err
	}
	s.remember(p.account)
	var keys []models.Key
	idents := map[store.AdvisorIdent][]models.Ident{}
	p.advisors = make(map[advisorName]*models.Advisor, len(p.names))
	for _, n := range p.names {
		if _, twice := p.advisors[n]; twice {
			continue
		}
		p.advisors[n] = nil
		if n.column == "" {
			keys = append(keys, n.key)
		} else {
			idents[n.column] = append(idents[n.column], n.value)
		}
	}
	byKey, err := r.Advisors(account, keys)
	if err != nil {
		return err
	}
	for _, a := range byKey {
		p.advisors[advisorName{key: a.Key}] = a
	}
	byName, err := r.AdvisorsByIdents(account, idents)
	if err != nil {
		return err
	}
	for _, a := range byName {
		for _, n := range []advisorName{{column: store.AdvisorOpenID, value: a.OpenID}, {column: store.AdvisorExternalID, value: a.ExternalID}} {
			if _, asked := p.advisors[n]; asked {
				p.advisors[n] = a
			}
		}
	}
	return nil
}
