package services

import (
	"context"
	"errors"
	"fmt"

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
		account, err := tx.LockAccount()
		if err != nil {
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
		if err := s.insertQRCodes(tx, account, []*models.QRCode{newQRCode(tx, models.QRCodeGroup, g.Key, "")}); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "createGroup", TargetKind: "Group", Target: g.Key, After: map[string]any{"name": name}})
	})
	if err != nil {
		return nil, nameTaken(err)
	}
	s.wakeChannelWork()
	return g, nil
}

// RenameGroup gives a group another name (rule D2): NOT_FOUND, NAME_TAKEN.
func (s *Services) RenameGroup(ctx context.Context, key models.Key, name string) (*models.Group, error) {
	c, err := s.begin(ctx, mayRenameGroup)
	if err != nil {
		return nil, err
	}
	if name, err = models.CheckName(name, "input.name", limits.GroupNameRunes); err != nil {
		return nil, err
	}
	g, err := s.changeGroup(ctx, c, key, func(tx *store.Tx, g *models.Group) error {
		before := g.Name
		g.Name, g.FoldedName = name, models.Fold(name)
		if err := tx.UpdateGroup(g); err != nil {
			return err
		}
		return tx.Audit(store.Change{
			Action: "renameGroup", TargetKind: "Group", Target: key, Before: map[string]any{"name": before}, After: map[string]any{"name": name},
		})
	})
	return g, nameTaken(err)
}

// DeleteGroup deletes a group and its memberships (rule D1). Its code stays, so that a scan can say
// what became of it. It answers the group as it was.
func (s *Services) DeleteGroup(ctx context.Context, key models.Key) (*models.Group, error) {
	c, err := s.begin(ctx, mayDeleteGroup)
	if err != nil {
		return nil, err
	}
	return s.changeGroup(ctx, c, key, func(tx *store.Tx, g *models.Group) error {
		if err := tx.DeleteGroup(g); err != nil {
			return err
		}
		return tx.Audit(store.Change{
			Action: "deleteGroup", TargetKind: "Group", Target: key, Before: map[string]any{"name": g.Name, "members": g.MemberCount},
		})
	})
}

// changeGroup runs a change of a group under its lock: NOT_FOUND when there is none.
func (s *Services) changeGroup(ctx context.Context, c *Scope, key models.Key, change func(*store.Tx, *models.Group) error) (g *models.Group, err error) {
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		var err error
		if g, err = lockGroup(tx, key); err != nil {
			return err
		}
		return change(tx, g)
	})
	return g, err
}

// lockGroup locks a group that a call names: NOT_FOUND when there is none.
func lockGroup(tx *store.Tx, key models.Key) (*models.Group, error) {
	groups, err := tx.LockGroups([]models.Key{key})
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, models.NotFound("group", "input.groupId")
	}
	return groups[0], nil
}

// nameTaken is err as the caller of a naming is told it.
func nameTaken(err error) error {
	if errors.Is(err, store.ErrDuplicate) {
		return &models.Error{Code: models.CodeNameTaken, Field: "input.name", Message: "another group has this name"}
	}
	return err
}

// AddToGroup adds advisors to a group, with a result per item in order (rules D1, D2). One who
// is a member already is a success.
func (s *Services) AddToGroup(ctx context.Context, key models.Key, refs []AdvisorRef) (*models.Group, []AdvisorResult, error) {
	return s.changeMembers(ctx, mayAddToGroup, key, refs, func(tx *store.Tx, g *models.Group, members []*models.GroupMember, found []AdvisorResult) ([]AdvisorResult, error) {
		results, fresh := addMembers(tx, g, members, found)
		added := make([]models.Key, len(fresh))
		for i, m := range fresh {
			added[i] = m.AdvisorID
		}
		if err := tx.InsertMembers([]*models.Group{g}, fresh); err != nil {
			return nil, err
		}
		return results, tx.Audit(store.Change{
			Action: "addGroupAdvisors", TargetKind: "Group", Target: key, Before: map[string]any{"members": len(members)},
			After: map[string]any{"members": g.MemberCount, "added": advisorIDs(added)},
		})
	})
}

// TakeFromGroup takes advisors out of a group, with a result per item in order (rule D2). One who
// is no member is a success, whatever their state.
func (s *Services) TakeFromGroup(ctx context.Context, key models.Key, refs []AdvisorRef) (*models.Group, []AdvisorResult, error) {
	return s.changeMembers(ctx, mayTakeFromGroup, key, refs, func(tx *store.Tx, g *models.Group, members []*models.GroupMember, found []AdvisorResult) ([]AdvisorResult, error) {
		results, gone := takeMembers(g, members, found)
		if err := tx.DeleteMembers(g, gone); err != nil {
			return nil, err
		}
		return results, tx.Audit(store.Change{
			Action: "removeGroupAdvisors", TargetKind: "Group", Target: key, Before: map[string]any{"members": len(members)},
			After: map[string]any{"members": g.MemberCount, "removed": advisorIDs(gone)},
		})
	})
}

// advisorIDs are the global ids of advisors.
func advisorIDs(keys []models.Key) []any {
	ids := make([]any, len(keys))
	for i, k := range keys {
		ids[i] = advisorID(k)
	}
	return ids
}

type memberChange func(tx *store.Tx, g *models.Group, members []*models.GroupMember, found []AdvisorResult) ([]AdvisorResult, error)

// changeMembers finds the advisors of a call and changes a group's members under its lock, and under the account's: nobody is removed meanwhile, who is
// to leave all their groups (rule B5).
func (s *Services) changeMembers(ctx context.Context, p Permission, key models.Key, refs []AdvisorRef, change memberChange) (*models.Group, []AdvisorResult, error) {
	c, err := s.begin(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if len(refs) == 0 {
		return nil, nil, models.Invalid("input.advisors", "is empty")
	}
	if len(refs) > limits.AdvisorsPerGroup {
		return nil, nil, models.TooMany("input.advisors", limits.AdvisorsPerGroup, "at most %d in a call", limits.AdvisorsPerGroup)
	}
	var g *models.Group
	var results []AdvisorResult
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		var err error
		if g, err = lockGroup(tx, key); err != nil {
			return err
		}
		found, err := s.advisorRefs(&tx.Reader, tx.Account, refs)
		if err != nil {
			return err
		}
		members, err := tx.Members(tx.Account, []models.Key{key})
		if err != nil {
			return err
		}
		results, err = change(tx, g, members, found)
		for i := range results {
			if e := models.AsItemError(results[i].Err); e != nil && e.Field == "" {
				e.Field = fmt.Sprintf("input.advisors.%d", i)
				results[i].Err = e
			}
		}
		return err
	})
	return g, results, err
}

// takeMembers answers for each item, and who of the members goes.
func takeMembers(g *models.Group, members []*models.GroupMember, found []AdvisorResult) ([]AdvisorResult, []models.Key) {
	is := map[models.Key]bool{}
	for _, m := range members {
		is[m.AdvisorID] = true
	}
	results := append([]AdvisorResult(nil), found...)
	inCall := map[models.Key]bool{}
	var gone []models.Key
	for i := range results {
		r := &results[i]
		switch {
		case r.Err != nil:
		case inCall[r.Advisor.Key]:
			*r = AdvisorResult{Err: models.Errorf(models.CodeDuplicate, "stands earlier in the same call")}
		default:
			inCall[r.Advisor.Key] = true
			if is[r.Advisor.Key] {
				gone = append(gone, r.Advisor.Key)
			}
		}
	}
	g.MemberCount = len(members) - len(gone)
	return results, gone
}

// GroupAdvisors is a page of a group's members, whoever was invited last first; FORBIDDEN for an
// ADVISOR (rule V2).
func (s *Services) GroupAdvisors(ctx context.Context, g *models.Group, p relay.Page) ([]*models.Advisor, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if c.Advisor != nil {
		return nil, models.Errorf(models.CodeForbidden, "the members of a group are not for %s", c.Viewer.Role)
	}
	rows, err := s.store.View(ctx).GroupAdvisorPage(c.Account.Key, g.Key, p)
	return c.shownAdvisors(rows), err
}

// GroupsByAdvisors is the groups of advisors, by name, as far as the viewer may see them: an
// ADVISOR their own.
func (s *Services) GroupsByAdvisors(ctx context.Context, advisors []models.Key) (map[models.Key]*models.GroupList, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if c.Advisor != nil {
		advisors = []models.Key{c.Advisor.Key}
	}
	return s.store.View(ctx).GroupsByAdvisors(c.Account.Key, advisors)
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
