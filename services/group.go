package services

import (
	"context"
	"errors"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// GroupPage reads a page of the account's groups.
func (s *Services) GroupPage(ctx context.Context, p relay.Page) ([]*models.Group, error) {
	c, err := s.begin(ctx, mayGroups)
	if err != nil {
		return nil, err
	}
	return s.store.View(ctx).GroupPage(c.Account.Key, p)
}

// CreateGroup makes a group with its code (rules C1, D1): NAME_TAKEN, LIMIT_EXCEEDED.
func (s *Services) CreateGroup(ctx context.Context, name string) (*models.Group, error) {
	c, err := s.begin(ctx, mayCreateGroup)
	if err != nil {
		return nil, err
	}
	if name, err = models.CheckName(name, "input.name", limits.GroupNameRunes); err != nil {
		return nil, err
	}
	var g *models.Group
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		n, err := tx.CountGroups(tx.Account)
		if err != nil {
			return err
		}
		if n >= limits.GroupsPerAccount {
			return models.TooMany("", limits.GroupsPerAccount, "the account has %d groups", limits.GroupsPerAccount)
		}
		g = &models.Group{
			AccountID: tx.Account, Key: models.NewKey(), Name: name, FoldedName: models.Fold(name), CreatedAt: tx.Now, UpdatedAt: tx.Now,
		}
		if err := tx.InsertGroup(g); err != nil {
			return err
		}
		if err := tx.InsertQRCodes([]*models.QRCode{newQRCode(tx, models.QRCodeGroup, g.Key)}); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "createGroup", TargetKind: "Group", Target: g.Key, After: map[string]any{"name": name}})
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, &models.Error{Code: models.CodeNameTaken, Field: "input.name", Message: "another group has this name"}
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

// AddToGroup adds advisors to a group, with a result per item in order (rules D1, D2). One who
// is a member already is a success.
func (s *Services) AddToGroup(ctx context.Context, key models.Key, refs []AdvisorRef) (*models.Group, []AdvisorResult, error) {
	c, err := s.begin(ctx, mayAddToGroup)
	if err != nil {
		return nil, nil, err
	}
	if len(refs) == 0 {
		return nil, nil, models.Invalid("input.advisors", "is empty")
	}
	if len(refs) > limits.AdvisorsPerGroup {
		return nil, nil, models.TooMany("input.advisors", limits.AdvisorsPerGroup, "at most %d in a call", limits.AdvisorsPerGroup)
	}
	found, err := s.advisorRefs(s.store.View(ctx), c.Account.Key, refs)
	if err != nil {
		return nil, nil, err
	}
	var g *models.Group
	var results []AdvisorResult
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		groups, err := tx.LockGroups([]models.Key{key})
		if err != nil {
			return err
		}
		if len(groups) == 0 {
			return models.NotFound("group", "input.groupId")
		}
		g = groups[0]
		members, err := tx.Members(tx.Account, []models.Key{key})
		if err != nil {
			return err
		}
		var fresh []*models.GroupMember
		results, fresh = addMembers(tx, g, members, found)
		if err := tx.InsertMembers(g, fresh); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "addGroupAdvisors", TargetKind: "Group", Target: key, After: map[string]any{"added": len(fresh)}})
	})
	return g, results, err
}

func addMembers(tx *store.Tx, g *models.Group, members []*models.GroupMember, found []AdvisorResult) ([]AdvisorResult, []*models.GroupMember) {
	is := map[models.Key]bool{}
	for _, m := range members {
		is[m.AdvisorID] = true
	}
	results := append([]AdvisorResult(nil), found...)
	inCall := map[models.Key]bool{}
	var fresh []*models.GroupMember
	for i := range results {
		r := &results[i]
		if r.Err != nil {
			continue
		}
		a := r.Advisor
		switch st := a.StateAt(tx.Now); {
		case inCall[a.Key]:
			*r = AdvisorResult{Err: models.Errorf(models.CodeDuplicate, "stands earlier in the same call")}
		case is[a.Key]:
			inCall[a.Key] = true
		case st != models.AdvisorActive && st != models.AdvisorPending:
			*r = AdvisorResult{Err: models.Errorf(models.CodeState, "the advisor is %s", st)}
		case len(members)+len(fresh) >= limits.AdvisorsPerGroup:
			*r = AdvisorResult{Err: models.TooMany("", limits.AdvisorsPerGroup, "the group has %d advisors", limits.AdvisorsPerGroup)}
		default:
			inCall[a.Key] = true
			fresh = append(fresh, &models.GroupMember{AccountID: tx.Account, GroupID: g.Key, AdvisorID: a.Key, CreatedAt: tx.Now})
		}
	}
	g.MemberCount = len(members) + len(fresh)
	return results, fresh
}

// advisorRefs finds the advisors that references name, one statement a kind of reference;
// NOT_FOUND in the item of an unknown one.
func (s *Services) advisorRefs(r *store.Reader, account models.Key, refs []AdvisorRef) ([]AdvisorResult, error) {
	var keys []models.Key
	idents := map[store.AdvisorIdent][]models.Ident{}
	for _, ref := range refs {
		switch {
		case !ref.Key.IsZero():
			keys = append(keys, ref.Key)
		case ref.OpenID != "":
			idents[store.AdvisorOpenID] = append(idents[store.AdvisorOpenID], ref.OpenID)
		case ref.UnionID != "":
			idents[store.AdvisorUnionID] = append(idents[store.AdvisorUnionID], ref.UnionID)
		case ref.WechatID != "":
			idents[store.AdvisorWechatID] = append(idents[store.AdvisorWechatID], ref.WechatID)
		}
	}
	rows, err := r.Advisors(account, keys)
	if err != nil {
		return nil, err
	}
	more, err := r.AdvisorsByIdents(account, idents)
	if err != nil {
		return nil, err
	}
	results := make([]AdvisorResult, len(refs))
	for i, ref := range refs {
		results[i].Err = models.NotFound("advisor", "")
		for _, a := range append(rows, more...) {
			if ref.names(a) {
				results[i] = AdvisorResult{Advisor: a}
				break
			}
		}
	}
	return results, nil
}

func (ref AdvisorRef) names(a *models.Advisor) bool {
	switch {
	case !ref.Key.IsZero():
		return a.Key == ref.Key
	case ref.OpenID != "":
		return a.OpenID == ref.OpenID
	case ref.UnionID != "":
		return a.UnionID == ref.UnionID
	}
	return ref.WechatID != "" && a.WechatID == ref.WechatID
}
