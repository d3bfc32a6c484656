package services

import (
	"context"
	"slices"

	"clientele/models"
	"clientele/store"
)

// CustomerRef names a customer by exactly one of its fields (rule E14).
type CustomerRef struct {
	Key     models.Key
	OpenID  models.Ident
	UnionID models.Ident
}

// customerRef finds the customer a reference names, if the viewer may see them; NOT_FOUND for an
// unknown one and for one of another tenant or another advisor alike (rules V4, V5). An ANALYST without
// leave names customers by id only, since openid and unionid are not theirs to read (rule V8).
func (s *Services) customerRef(r *store.Reader, c *Scope, ref CustomerRef, field string) (*models.Customer, error) {
	if ref.Key.IsZero() {
		if err := c.asksFreeText(field); err != nil {
			return nil, err
		}
	}
	var rows []*models.Customer
	var err error
	switch {
	case !ref.Key.IsZero():
		rows, err = r.Customers(c.Account.Key, []models.Key{ref.Key})
	case ref.OpenID != "":
		rows, err = r.CustomersByOpenID(c.Account.Key, []models.Ident{ref.OpenID})
	case ref.UnionID != "":
		var one *models.Customer
		if one, err = r.CustomerByUnionID(c.Account.Key, ref.UnionID); err == nil {
			rows = []*models.Customer{one}
		}
	default:
		return nil, models.Invalid(field, "names nobody")
	}
	if err == nil && (len(rows) == 0 || !c.sees(rows[0])) {
		err = store.ErrNotFound
	}
	if err != nil {
		return known[*models.Customer](nil, err, "customer", field)
	}
	return rows[0], nil
}

// customerRefs finds the customers that references name, in their order, by at most three
// statements; nil for one who is unknown or not for the viewer to see.
func (s *Services) customerRefs(r *store.Reader, c *Scope, refs []CustomerRef) ([]*models.Customer, error) {
	var keys []models.Key
	var openids, unionids []models.Ident
	for _, ref := range refs {
		switch {
		case !ref.Key.IsZero():
			keys = append(keys, ref.Key)
		case ref.OpenID != "":
			openids = append(openids, ref.OpenID)
		case ref.UnionID != "":
			unionids = append(unionids, ref.UnionID)
		}
	}
	named := map[CustomerRef]*models.Customer{}
	rows, err := r.Customers(c.Account.Key, keys)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		named[CustomerRef{Key: row.Key}] = row
	}
	if rows, err = r.CustomersByOpenID(c.Account.Key, openids); err != nil {
		return nil, err
	}
	for _, row := range rows {
		named[CustomerRef{OpenID: row.OpenID}] = row
	}
	if rows, err = r.CustomersByUnionID(c.Account.Key, unionids); err != nil {
		return nil, err
	}
	for _, row := range rows {
		named[CustomerRef{UnionID: row.UnionID}] = row
	}
	found := make([]*models.Customer, len(refs))
	for i, ref := range refs {
		if row := named[ref]; row != nil && c.sees(row) {
			found[i] = row
		}
	}
	return found, nil
}

// Customer finds one that the viewer may see.
func (s *Services) Customer(ctx context.Context, ref CustomerRef) (*models.Customer, error) {
	c, err := s.begin(ctx, mayCustomer)
	if err != nil {
		return nil, err
	}
	customer, err := s.customerRef(s.store.View(ctx), c, ref, "by")
	if err != nil {
		return nil, err
	}
	return c.shown(customer), nil
}

// CustomersByKeys reads those customers that the viewer may see; the others are left out.
func (s *Services) CustomersByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Customer, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Customers(c.Account.Key, keys)
	seen := make(map[models.Key]*models.Customer, len(rows))
	for _, r := range rows {
		if c.sees(r) {
			seen[r.Key] = c.shown(r)
		}
	}
	return seen, err
}

// tenant is the scope of a viewer of one account, for reads below a root field that was
// permitted already.
func (s *Services) tenant(ctx context.Context) (*Scope, error) {
	c, err := s.scope(ctx)
	if err != nil {
		return nil, err
	}
	if c.Account == nil {
		return nil, models.Errorf(models.CodeForbidden, "PLATFORM reads no account's people")
	}
	return c, nil
}

// AdvisorsByKeys reads those advisors that the viewer may see.
func (s *Services) AdvisorsByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Advisor, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if c.Advisor != nil { // of other advisors an ADVISOR reads nothing (rule V2)
		return map[models.Key]*models.Advisor{c.Advisor.Key: c.Advisor}, nil
	}
	rows, err := s.store.View(ctx).Advisors(c.Account.Key, keys)
	found := make(map[models.Key]*models.Advisor, len(rows))
	for _, r := range rows {
		found[r.Key] = c.shownAdvisor(r)
	}
	return found, err
}

// ownOwners is those of the owners of codes whose codes are the viewing advisor's to see: themselves
// and their groups (rule V2).
func (s *Services) ownOwners(ctx context.Context, c *Scope, owners []models.Key) ([]models.Key, error) {
	own := map[models.Key]bool{c.Advisor.Key: true}
	if slices.ContainsFunc(owners, func(k models.Key) bool { return k != c.Advisor.Key }) {
		lists, err := s.store.View(ctx).GroupsByAdvisors(c.Account.Key, []models.Key{c.Advisor.Key})
		if err != nil {
			return nil, err
		}
		if list := lists[c.Advisor.Key]; list != nil {
			for _, g := range list.Groups {
				own[g.Key] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(owners), func(k models.Key) bool { return !own[k] }), nil
}
