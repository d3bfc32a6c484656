package services

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"clientele/auth"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// AdvisorRef names an advisor by exactly one of its fields (rule E14).
type AdvisorRef struct {
	Key      models.Key
	OpenID   models.Ident
	UnionID  models.Ident
	WechatID models.Ident
}

// advisorRef finds the advisor a reference names, whom the viewer need not be shown as they are; NOT_FOUND for
// an unknown one, FORBIDDEN where an ANALYST without leave names one by anything but the id (rule V8).
func (s *Services) advisorRef(r *store.Reader, c *Scope, ref AdvisorRef, field string) (*models.Advisor, error) {
	if ref.Key.IsZero() {
		if err := c.asksFreeText(field); err != nil {
			return nil, err
		}
	}
	account := c.Account.Key
	var a *models.Advisor
	var err error
	switch {
	case !ref.Key.IsZero():
		var rows []*models.Advisor
		if rows, err = r.Advisors(account, []models.Key{ref.Key}); err == nil && len(rows) == 0 {
			err = store.ErrNotFound
		} else if err == nil {
			a = rows[0]
		}
	case ref.OpenID != "":
		a, err = r.AdvisorBy(account, store.AdvisorOpenID, ref.OpenID)
	case ref.UnionID != "":
		a, err = r.AdvisorBy(account, store.AdvisorUnionID, ref.UnionID)
	case ref.WechatID != "":
		a, err = r.AdvisorBy(account, store.AdvisorWechatID, ref.WechatID)
	default:
		return nil, models.Invalid(field, "names nobody")
	}
	return known(a, err, "advisor", field)
}

// Advisor finds one; an ADVISOR finds only themselves.
func (s *Services) Advisor(ctx context.Context, ref AdvisorRef) (*models.Advisor, error) {
	c, err := s.begin(ctx, mayAdvisor)
	if err != nil {
		return nil, err
	}
	a, err := s.advisorRef(s.store.View(ctx), c, ref, "by")
	if err != nil {
		return nil, err
	}
	if c.Advisor != nil && c.Advisor.Key != a.Key {
		return nil, models.NotFound("advisor", "by")
	}
	return c.shownAdvisor(a), nil
}

// AdvisorPage reads a page of the account's advisors, in one state if it is not empty.
func (s *Services) AdvisorPage(ctx context.Context, state models.AdvisorState, p relay.Page) ([]*models.Advisor, error) {
	c, err := s.begin(ctx, mayAdvisors)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).AdvisorPage(c.Account.Key, state, s.Now(), p)
	return c.shownAdvisors(rows), err
}

// Invitation is one person to invite.
type Invitation struct {
	OpenID, UnionID, WechatID, ExternalID models.Ident
	Nickname, AvatarURL                   string
	AvatarImage                           models.Key // instead of AvatarURL; zero: none
}

// AdvisorResult is what came of one item of a batch.
type AdvisorResult struct {
	Advisor *models.Advisor
	Err     error
}

// Invite invites people, with a result per item in order (rules B1 to B3). With an idempotency key the same call again answers the first
// results, of advisors as they are now (rule E15); repeated tells so.
func (s *Services) Invite(ctx context.Context, in []Invitation, idempotencyKey string) (results []AdvisorResult, repeated bool, err error) {
	c, err := s.begin(ctx, mayInvite)
	if err != nil {
		return nil, false, err
	}
	if len(in) == 0 {
		return nil, false, models.Invalid("input.advisors", "is empty")
	}
	if len(in) > limits.InviteBatch {
		return nil, false, models.TooMany("input.advisors", limits.InviteBatch, "at most %d in a call", limits.InviteBatch)
	}
	once, err := onceOf(c, idempotencyKey, mayInvite.Field, in)
	if err != nil {
		return nil, false, err
	}
	checked := make([]models.ItemResult, len(in))
	for i := range in {
		checked[i].Err = models.AsItemError(in[i].check(fmt.Sprintf("input.advisors.%d", i)))
	}
	people := make([]Person, len(in))
	for i := range in {
		people[i] = in[i].person()
	}
	// A call that is repeated asks nobody: its answer does not depend on whether the channel is away by now.
	_, known, err := firstResults(s.store.View(ctx), once)
	if err != nil {
		return nil, false, err
	}
	var agents serviceAgents
	if !known {
		if agents, err = s.serviceAgents(ctx, c.Account, people); err != nil {
			return nil, false, err
		}
	}
	invited := map[models.Key]*models.Advisor{}
	items, repeated, err := s.bulk(ctx, c, once, func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error) {
		b := &inviteBatch{inviting: inviting{s: s, tx: tx, agents: agents}, in: in, items: slices.Clone(checked)}
		if b.account, err = tx.LockAccount(); err != nil {
			return nil, err
		}
		if repeated, err := again(); repeated || err != nil {
			return nil, err
		}
		if known {
			return nil, models.Errorf(models.CodeUnavailable, "the first results were deleted meanwhile; try again")
		}
		err := b.write()
		clear(invited)
		for _, a := range slices.Concat(b.fresh, b.again) {
			invited[a.Key] = a
		}
		return b.items, err
	})
	switch {
	case errors.Is(err, store.ErrDuplicate):
		return nil, false, &models.Error{Code: models.CodeConflict, Message: "somebody else invited one of them at this moment; try again"}
	case err != nil:
		return nil, false, err
	case repeated:
		if invited, err = s.AdvisorsByKeys(ctx, targetsOf(items)); err != nil {
			return nil, false, err
		}
	}
	s.wakeChannelWork() // their codes
	results = make([]AdvisorResult, len(items))
	for i, item := range items {
		results[i].Advisor = invited[item.Target]
		if item.Err != nil {
			results[i].Err = item.Err
		}
	}
	return results, repeated, nil
}

// serviceAgents is which people are customer-service agents of the account (rule B2).
type serviceAgents struct{ openids, wechatIDs map[models.Ident]bool }

// has reports whether one of them is known by either name.
func (g serviceAgents) has(p Person) bool { return g.openids[p.OpenID] || g.wechatIDs[p.WechatID] }

// serviceAgents asks the channel, before any transaction, about those whom it may know.
func (s *Services) serviceAgents(ctx context.Context, a *models.Account, people []Person) (serviceAgents, error) {
	known := slices.DeleteFunc(slices.Clone(people), func(p Person) bool { return p == Person{} })
	ch := s.channels[a.Channel]
	if ch == nil || len(known) == 0 {
		return serviceAgents{}, nil
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, limits.ChannelTime)
	defer cancel()
	are, err := ch.ServiceAgents(ctx, a, known)
	if err != nil || len(are) != len(known) {
		if caller.Err() == nil {
			s.log.WarnContext(ctx, "the channel did not say who is a service agent", "account", a.Key.String(), "error", err)
		}
		again := &models.Error{Code: models.CodeUnavailable, Message: "the channel cannot say who is a service agent; try again"}
		var closed closedChannel
		if errors.As(err, &closed) {
			again.RetryAt = closed.ClosedUntil()
		}
		return serviceAgents{}, errors.Join(again, errAway) // a job waits for it
	}
	agents := serviceAgents{map[models.Ident]bool{}, map[models.Ident]bool{}}
	for i, p := range known {
		if are[i] && p.OpenID != "" {
			agents.openids[p.OpenID] = true
		}
		if are[i] && p.WechatID != "" {
			agents.wechatIDs[p.WechatID] = true
		}
	}
	return agents, nil
}

// person is whom it invites as the platform may know them.
func (i *Invitation) person() Person { return Person{i.OpenID, i.WechatID} }

func (i *Invitation) check(field string) (err error) {
	if i.Nickname, err = models.CheckName(i.Nickname, field+".nickname", limits.AdvisorNicknameRunes); err != nil {
		return err
	}
	return i.checkRest(field)
}

// checkRest is check of everything but the nickname.
func (i *Invitation) checkRest(field string) error {
	if i.OpenID == "" && i.UnionID == "" && i.WechatID == "" {
		return models.Invalid(field, "names nobody: openid, unionid or wechatId is required")
	}
	for _, of := range []struct {
		name string
		id   models.Ident
	}{{".openid", i.OpenID}, {".unionid", i.UnionID}, {".wechatId", i.WechatID}, {".externalId", i.ExternalID}} {
		if of.id != "" {
			if err := models.CheckIdent(string(of.id), field+of.name, limits.OpenIDBytes); err != nil {
				return err
			}
		}
	}
	switch {
	case i.AvatarURL != "" && !i.AvatarImage.IsZero():
		return models.Invalid(field+".avatarImageId", "is given beside avatarUrl")
	case i.AvatarURL != "":
		return checkPicture(i.AvatarURL, field+".avatarUrl")
	}
	return nil
}

// Answer is the viewer's answer to their invitation (rule B3). openid is theirs on this
// account, wanted when the invitation named only a WeChat id: it is then that following is
// checked (rule B2).
func (s *Services) Answer(ctx context.Context, accept bool, openid models.Ident) (*models.Advisor, error) {
	c, err := s.begin(ctx, mayAnswer)
	if err != nil {
		return nil, err
	}
	if openid != "" {
		if err := models.CheckIdent(string(openid), "input.openid", limits.OpenIDBytes); err != nil {
			return nil, err
		}
	}
	if c.Advisor.OpenID != "" {
		openid = c.Advisor.OpenID
	}
	var agents serviceAgents
	if accept {
		if agents, err = s.serviceAgents(ctx, c.Account, []Person{{openid, c.Advisor.WechatID}}); err != nil {
			return nil, err
		}
	}
	return s.changeAdvisor(ctx, c, "answerInvitation", func(tx *store.Tx, a *models.Advisor) error {
		if err := a.Answer(accept, tx.Now); err != nil {
			return err
		}
		if !accept {
			tx.EmitToAccount(models.AccountInvitationRefused, models.Key{}, a.Key)
			return nil
		}
		tx.EmitToAccount(models.AccountInvitationAccepted, models.Key{}, a.Key)
		if a.OpenID == "" { // kept only now: a refusal must not lay claim to it
			a.OpenID = openid
		}
		if agents.has(Person{a.OpenID, a.WechatID}) {
			return models.Errorf(models.CodeAlreadyServiceAgent, "is a customer-service agent of the account")
		}
		return mustFollow(&tx.Reader, tx.Account, a)
	}, "openid", "state", "presence", "answered_at")
}

// mustFollow reports MUST_FOLLOW_ACCOUNT unless the person follows the account now.
func mustFollow(r *store.Reader, account models.Key, a *models.Advisor) error {
	var c *models.Customer
	var err error
	switch {
	case a.OpenID != "":
		var rows []*models.Customer
		if rows, err = r.CustomersByOpenID(account, []models.Ident{a.OpenID}); len(rows) == 1 {
			c = rows[0]
		}
	case a.UnionID != "":
		if c, err = r.CustomerByUnionID(account, a.UnionID); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if c == nil || c.FollowState != models.Following {
		return models.Errorf(models.CodeMustFollowAccount, "the person must follow the account first")
	}
	return nil
}

// AcceptRules accepts the account's current service rules (rule V7).
func (s *Services) AcceptRules(ctx context.Context, version string) (*models.Advisor, error) {
	c, err := s.begin(ctx, mayAcceptRules)
	if err != nil {
		return nil, err
	}
	if version != c.Account.RulesVersion {
		return nil, &models.Error{Code: models.CodeState, Field: "input.version", Message: "another version of the service rules is current"}
	}
	return s.changeAdvisor(ctx, c, "acceptServiceRules", func(tx *store.Tx, a *models.Advisor) error {
		if a.StateAt(tx.Now) != models.AdvisorActive {
			return models.Errorf(models.CodeState, "the invitation must be accepted first")
		}
		a.RulesVersion, a.RulesAcceptedAt = version, tx.Now
		return nil
	}, "rules_version", "rules_accepted_at")
}

// SetPresence says whether the viewer is at work (rule B6).
func (s *Services) SetPresence(ctx context.Context, p models.Presence) (*models.Advisor, error) {
	c, err := s.begin(ctx, maySetPresence)
	if err != nil {
		return nil, err
	}
	return s.changeAdvisor(ctx, c, "", func(_ *store.Tx, a *models.Advisor) error {
		a.Presence = p
		return nil
	}, "presence")
}

// changeAdvisor runs one change of the viewer's own row under its lock; an empty action says
// that the row is its own record.
func (s *Services) changeAdvisor(ctx context.Context, c *Scope, action string,
	change func(*store.Tx, *models.Advisor) error, columns ...string,
) (a *models.Advisor, err error) {
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		rows, err := tx.LockAdvisors([]models.Key{c.Advisor.Key})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return models.NotFound("advisor", "")
		}
		a = rows[0]
		was := ownState(a)
		if err := change(tx, a); err != nil {
			return err
		}
		if err := tx.UpdateAdvisors(rows, columns...); err != nil {
			return err
		}
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventAdvisorChanged})
		if action == "" {
			tx.OwnRecord()
			return nil
		}
		return tx.Audit(store.Change{Action: action, TargetKind: "Advisor", Target: a.Key, Before: was, After: ownState(a)})
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, &models.Error{Code: models.CodeConflict, Field: "input.openid", Message: "another advisor has this openid"}
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// ownState is what the audit log tells of an advisor who changes their own row.
func ownState(a *models.Advisor) map[string]any {
	return map[string]any{"state": a.Stored, "rules": a.RulesVersion}
}

// IssueToken makes a token for an advisor who is PENDING or ACTIVE (rule V1), and answers it with
// what it proves. life is cut to whole seconds.
func (s *Services) IssueToken(ctx context.Context, ref AdvisorRef, life time.Duration) (string, *auth.Viewer, error) {
	c, err := s.begin(ctx, mayIssueToken)
	if err != nil {
		return "", nil, err
	}
	if life < time.Minute || life > limits.TokenLife {
		return "", nil, models.Invalid("input.lifeSeconds", "is not 60 to %d", int(limits.TokenLife.Seconds()))
	}
	if s.issuer == nil {
		return "", nil, models.Errorf(models.CodeUnavailable, "this server has no secret to sign tokens with")
	}
	a, err := s.advisorRef(s.store.View(ctx), c, ref, "input.advisor")
	if err != nil {
		return "", nil, err
	}
	if st := a.StateAt(s.Now()); st != models.AdvisorActive && st != models.AdvisorPending {
		return "", nil, models.Errorf(models.CodeState, "the advisor is %s", st)
	}
	grant := auth.Grant{
		Role: auth.RoleAdvisor, Account: c.Account.Key.String(),
		Subject: auth.AdvisorSubject(auth.SubjectID, a.Key.String()), Life: life,
	}
	revoked, err := s.revoked(ctx, c.Account.Key, false)
	if err != nil {
		return "", nil, err
	}
	// Behind whatever was revoked of this bearer, or a token made in the same second would be dead.
	grant.NotIssuedBefore = revoked.IssuedBefore(grant.Subject, a.Key).Go()
	token, v, err := s.issuer.Issue(grant)
	if err != nil {
		return "", nil, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		return tx.Audit(store.Change{
			Action: "issueAdvisorToken", TargetKind: "Advisor", Target: a.Key,
			After: map[string]any{"token": v.TokenID, "expires": v.Expires},
		})
	})
	return token, v, err
}

// ExpireInvitations writes EXPIRED for invitations past their deadline and tells their streams
// (rule B3: expiry is reported). It answers how many.
func (s *Services) ExpireInvitations(ctx context.Context) (int, error) {
	lapsed, err := s.store.View(ctx).LapsedInvitations(s.Now(), limits.BatchRows)
	if err != nil {
		return 0, err
	}
	byAccount := map[models.Key][]models.Key{}
	for _, a := range lapsed {
		byAccount[a.AccountID] = append(byAccount[a.AccountID], a.Key)
	}
	var failed []error
	for account, keys := range byAccount {
		err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
			rows, err := tx.LockAdvisors(keys)
			if err != nil {
				return err
			}
			var expired []*models.Advisor
			for _, a := range rows {
				if a.Stored == models.AdvisorPending && a.StateAt(tx.Now) == models.AdvisorExpired {
					a.Stored = models.AdvisorExpired
					tx.EmitToAccount(models.AccountInvitationExpired, models.Key{}, a.Key)
					expired = append(expired, a)
					tx.Emit(models.Event{Stream: a.Key, Kind: models.EventAdvisorChanged})
				}
			}
			return tx.UpdateAdvisors(expired, "state")
		})
		if err != nil { // the other accounts' are not kept waiting
			failed = append(failed, err)
		}
	}
	return len(lapsed), errors.Join(failed...)
}

// AdvisorState is the state that holds now.
func (s *Services) AdvisorState(a *models.Advisor) models.AdvisorState { return a.StateAt(s.Now()) }
