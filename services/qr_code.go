package services

import (
	"context"
	"fmt"
	"time"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// newQRCode is a code of an advisor or group: their own (rule C1) when label is empty. Its scene tells
// nothing of whose it is and cannot be guessed.
func newQRCode(tx *store.Tx, kind models.QRCodeKind, owner models.Key, label string) *models.QRCode {
	return &models.QRCode{
		AccountID: tx.Account, Key: models.NewKey(), Scene: randomIdent(), Kind: kind, OwnerID: owner,
		Own: label == "", Label: label, CreatedAt: tx.Now,
	}
}

// CodeOwnerRef names what a code leads to: an advisor, or else a group.
type CodeOwnerRef struct {
	Advisor *AdvisorRef
	Group   models.Key
}

// NewCode is a code with a label to make (rule C3).
type NewCode struct {
	Owner CodeOwnerRef
	Label string
	// LifeSeconds is for how long it leads anywhere; nil: it is permanent.
	LifeSeconds *int
}

// CodeResult is what came of one code of a call.
type CodeResult struct {
	Code *models.QRCode
	Err  error
}

// CreateQRCodes makes codes with a label, with a result per item in order (rule C3). Errors of items:
// NOT_FOUND, STATE, INVALID, LIMIT_EXCEEDED, CODE_LIMIT. Errors of the call: INVALID, LIMIT_EXCEEDED,
// IDEMPOTENCY_CONFLICT. The number of statements does not depend on the number of codes.
func (s *Services) CreateQRCodes(ctx context.Context, in []NewCode, idempotencyKey string) (results []CodeResult, repeated bool, err error) {
	c, err := s.begin(ctx, mayCreateQRCodes)
	if err != nil {
		return nil, false, err
	}
	switch {
	case len(in) == 0:
		return nil, false, models.Invalid("input.codes", "is empty")
	case len(in) > limits.CodeBatch:
		return nil, false, models.TooMany("input.codes", limits.CodeBatch, "at most %d in a call", limits.CodeBatch)
	}
	once, err := onceOf(c, idempotencyKey, mayCreateQRCodes.Field, in)
	if err != nil {
		return nil, false, err
	}
	found, err := s.codeOwners(s.store.View(ctx), c.Account.Key, in)
	if err != nil {
		return nil, false, err
	}
	made := map[models.Key]*models.QRCode{}
	items, repeated, err := s.bulk(ctx, c, once, func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error) {
		b := &codeBatch{s: s, tx: tx, in: in, found: found}
		if err := b.lock(); err != nil {
			return nil, err
		}
		if repeated, err := again(); repeated || err != nil {
			return nil, err
		}
		items, err := b.write()
		clear(made)
		for _, code := range b.codes {
			made[code.Key] = code
		}
		return items, err
	})
	if err != nil {
		return nil, false, err
	}
	if repeated {
		if made, err = s.QRCodesByKeys(ctx, targetsOf(items)); err != nil {
			return nil, false, err
		}
	}
	s.wakeChannelWork()
	results = make([]CodeResult, len(items))
	for i, item := range items {
		results[i].Code = made[item.Target]
		if item.Err != nil {
			results[i].Err = item.Err
		}
	}
	return results, repeated, nil
}

// codeOwners finds the advisors that a call names, by the item's number; those that are not there are
// left out. Groups are named by key.
func (s *Services) codeOwners(r *store.Reader, account models.Key, in []NewCode) (map[int]models.Key, error) {
	var refs []AdvisorRef
	var places []int
	for i, one := range in {
		if one.Owner.Advisor != nil {
			refs, places = append(refs, *one.Owner.Advisor), append(places, i)
		}
	}
	advisors, err := s.advisorRefs(r, account, refs)
	if err != nil {
		return nil, err
	}
	found := make(map[int]models.Key, len(refs))
	for n, a := range advisors {
		if a.Advisor != nil {
			found[places[n]] = a.Advisor.Key
		}
	}
	return found, nil
}

// codeBatch is one call's worth of codes in its transaction. It lives for one attempt.
type codeBatch struct {
	s        *Services
	tx       *store.Tx
	in       []NewCode
	found    map[int]models.Key // advisors by item
	account  *models.Account
	groups   map[models.Key]bool
	advisors map[models.Key]*models.Advisor
	codes    []*models.QRCode
}

// lock locks the account, under which codes are counted, and the owners, so that none is removed while
// it gets a code.
func (b *codeBatch) lock() (err error) {
	if b.account, err = b.tx.LockAccount(); err != nil {
		return err
	}
	if !b.account.IsOpen() {
		return models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	var groups, advisors []models.Key
	for i, one := range b.in {
		if !one.Owner.Group.IsZero() {
			groups = append(groups, one.Owner.Group)
		}
		if key := b.found[i]; !key.IsZero() {
			advisors = append(advisors, key)
		}
	}
	rows, err := b.tx.LockGroups(groups)
	if err != nil {
		return err
	}
	b.groups = make(map[models.Key]bool, len(rows))
	for _, g := range rows {
		b.groups[g.Key] = true
	}
	people, err := b.tx.LockAdvisors(advisors)
	b.advisors = make(map[models.Key]*models.Advisor, len(people))
	for _, a := range people {
		b.advisors[a.Key] = a
	}
	return err
}

// write makes the codes of the items that may have one.
func (b *codeBatch) write() ([]models.ItemResult, error) {
	items := make([]models.ItemResult, len(b.in))
	before := b.account.CodeCount
	for i := range b.in {
		code, err := b.code(i, fmt.Sprintf("input.codes.%d", i))
		if err != nil {
			items[i].Err = err
			continue
		}
		if code.ExpiresAt.IsZero() {
			b.account.CodeCount++
		}
		items[i].Target, items[i].Changed = code.Key, true
		b.codes = append(b.codes, code)
	}
	if b.account.CodeCount != before {
		if err := b.tx.UpdateAccount(b.account, "code_count"); err != nil {
			return nil, err
		}
	}
	if err := b.s.insertQRCodes(b.tx, b.account, b.codes); err != nil {
		return nil, err
	}
	return items, b.tx.Audit(store.Change{
		Action: mayCreateQRCodes.Field, TargetKind: "Account", Target: b.tx.Account, After: map[string]any{"made": len(b.codes)}, Items: items,
	})
}

// code decides one item.
func (b *codeBatch) code(i int, field string) (*models.QRCode, *models.Error) {
	in := b.in[i]
	label, err := models.CheckName(in.Label, field+".label", limits.CodeLabelRunes)
	if err != nil {
		return nil, models.AsItemError(err)
	}
	var expires models.Time
	if in.LifeSeconds != nil {
		life := time.Duration(*in.LifeSeconds) * time.Second
		if *in.LifeSeconds < int(limits.CodeLifeMin/time.Second) || *in.LifeSeconds > int(limits.CodeLifeMax/time.Second) {
			return nil, models.Invalid(field+".lifeSeconds", "is not %d to %d", int(limits.CodeLifeMin/time.Second), int(limits.CodeLifeMax/time.Second))
		}
		expires = b.tx.Now.Add(life)
	}
	kind, owner := models.QRCodeGroup, in.Owner.Group
	if in.Owner.Advisor != nil {
		kind, owner = models.QRCodeAdvisor, b.found[i]
		a := b.advisors[owner]
		if a == nil {
			return nil, models.NotFound("advisor", field+".owner.advisor")
		}
		if st := a.StateAt(b.tx.Now); st != models.AdvisorPending && st != models.AdvisorActive {
			return nil, &models.Error{Code: models.CodeState, Field: field + ".owner.advisor", Message: "the advisor is " + string(st)}
		}
	} else if !b.groups[owner] {
		return nil, models.NotFound("group", field+".owner.groupId")
	}
	if expires.IsZero() && b.account.CodeCount >= limits.LabelledCodes {
		return nil, &models.Error{
			Code: models.CodeCodeLimit, Field: field, Limit: limits.LabelledCodes,
			Message: fmt.Sprintf("the account has made %d permanent codes with a label", limits.LabelledCodes),
		}
	}
	code := newQRCode(b.tx, kind, owner, label)
	code.ExpiresAt = expires
	return code, nil
}

// QRCodeFilter says which codes a page holds; nil and zero fields say nothing.
type QRCodeFilter struct {
	Owner *CodeOwnerRef
	Label string
}

// QRCodePage reads a page of codes, latest first; of an ADVISOR those that lead to them, or to a group of
// theirs that is named. NOT_FOUND of an owner who is not the viewer's to see.
func (s *Services) QRCodePage(ctx context.Context, f QRCodeFilter, p relay.Page) ([]*models.QRCode, error) {
	c, err := s.begin(ctx, mayQRCodes)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	q := store.QRCodeFilter{Owner: c.owner(), Label: f.Label}
	switch {
	case f.Owner == nil:
	case f.Owner.Advisor != nil:
		a, err := s.advisorRef(r, c, *f.Owner.Advisor, "filter.owner.advisor")
		if err != nil {
			return nil, err
		}
		if c.Advisor != nil && c.Advisor.Key != a.Key {
			return nil, models.NotFound("advisor", "filter.owner.advisor")
		}
		q.Owner = a.Key
	default:
		if err := s.filterGroup(r, c, f.Owner.Group, "filter.owner.groupId"); err != nil {
			return nil, err
		}
		q.Owner = f.Owner.Group
	}
	return r.QRCodePage(c.Account.Key, q, p)
}

// QRCodesByOwner reads the own codes of advisors and groups; an ADVISOR's own only.
func (s *Services) QRCodesByOwner(ctx context.Context, owners []models.Key) (map[models.Key]*models.QRCode, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if c.Advisor != nil {
		if owners, err = s.ownOwners(ctx, c, owners); err != nil {
			return nil, err
		}
	}
	rows, err := s.store.View(ctx).QRCodesByOwner(c.Account.Key, owners)
	found := make(map[models.Key]*models.QRCode, len(rows))
	for _, r := range rows {
		found[r.OwnerID] = r
	}
	return found, err
}

// QRCodesByKeys reads codes that the viewer may see: an ADVISOR those that lead to them or to their
// groups.
func (s *Services) QRCodesByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.QRCode, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).QRCodes(c.Account.Key, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[models.Key]*models.QRCode, len(rows))
	owners := make([]models.Key, len(rows))
	for i, r := range rows {
		owners[i] = r.OwnerID
	}
	own := map[models.Key]bool{}
	if c.Advisor != nil {
		if owners, err = s.ownOwners(ctx, c, owners); err != nil {
			return nil, err
		}
		for _, k := range owners {
			own[k] = true
		}
	}
	for _, r := range rows {
		if c.Advisor == nil || own[r.OwnerID] {
			found[r.Key] = r
		}
	}
	return found, nil
}

// GroupsByKeys reads groups that the viewer may see: an ADVISOR those that they belong to.
func (s *Services) GroupsByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Group, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if c.Advisor != nil {
		if keys, err = s.ownOwners(ctx, c, keys); err != nil {
			return nil, err
		}
	}
	rows, err := s.store.View(ctx).Groups(c.Account.Key, keys)
	found := make(map[models.Key]*models.Group, len(rows))
	for _, g := range rows {
		found[g.Key] = g
	}
	return found, err
}
