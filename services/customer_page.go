package services

import (
	"context"
	"fmt"
	"slices"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// CustomerFilter says which customers a page holds, or a bulk call is for (rule E9). Zero values say
// nothing; what is said holds together.
type CustomerFilter struct {
	Assigned *bool
	Advisor  *AdvisorRef
	// Group: of its members; zero: says nothing.
	Group models.Key
	// OpenIDs, UnionIDs: at most limits.FilterIdents each; nil says nothing, and a list without any
	// means nobody.
	OpenIDs, UnionIDs []models.Ident
	Tags              TagFilter
	Source            models.BindingSource
	Label             string // of the code that they are bound by
	// BoundFrom is the earliest binding, BoundUntil is later than the latest.
	BoundFrom, BoundUntil models.Time
	Region                models.Region
	FollowState           models.FollowState
	Interacted48h         *bool
	Replied               *bool
	// OutreachLeft: so many of the month at least, 1 or more; nil says nothing.
	OutreachLeft *int
	// Search is a text that the nickname or a line of the info has in it, without regard to case, width and
	// compatibility forms; empty says nothing.
	Search string
}

// TagFilter says which options customers have: one of Any at least, all of All, none of None.
type TagFilter struct{ Any, All, None []TagOptionRef }

// CustomerPage is a page of customers.
type CustomerPage struct {
	Customers []*models.Customer
	// Order is the one that was asked for, or the list's own.
	Order models.CustomerOrder
	// End is where a page that found fewer than were asked for stopped looking, and goes on; nil: see
	// store.CustomerPage.
	End *relay.Keyset
}

// CustomerPage reads a page of customers (rule E9), in an order of the list's; empty: its first one. INVALID for
// an order of other lists.
func (s *Services) CustomerPage(ctx context.Context, f CustomerFilter, order models.CustomerOrder, p relay.Page) (page CustomerPage, err error) {
	c, err := s.begin(ctx, mayCustomers)
	if err != nil {
		return page, err
	}
	r := s.store.View(ctx)
	q, err := s.customerFilter(r, c, f, "filter")
	if err != nil {
		return page, err
	}
	if page.Order, err = orderOf(q, order); err != nil {
		return page, err
	}
	if !q.Advisor.IsZero() && f.Assigned != nil && !*f.Assigned {
		return page, nil // an advisor's customers are all assigned
	}
	if page.Customers, page.End, err = r.CustomerPage(c.Account.Key, q, page.Order, p); err != nil {
		return CustomerPage{}, err
	}
	for i, row := range page.Customers {
		page.Customers[i] = c.shown(row)
	}
	return page, nil
}

// orderOf is the order of a list of customers.
func orderOf(f store.CustomerFilter, asked models.CustomerOrder) (models.CustomerOrder, error) {
	isOfAdvisor := !f.Advisor.IsZero()
	switch {
	case asked == "" && isOfAdvisor:
		return models.OrderLatestBound, nil
	case asked == "":
		return models.OrderNewest, nil
	case isOfAdvisor != asked.IsOfAdvisor():
		return "", models.Invalid("orderBy", "%s is no order of such a list", asked)
	}
	return asked, nil
}

// CountCustomers counts the customers of a filter, up to limits.CustomerCount; nil: to know it, too many
// would have to be looked at (rule E9).
func (s *Services) CountCustomers(ctx context.Context, f CustomerFilter) (*int, error) {
	c, err := s.begin(ctx, mayCustomers)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	q, err := s.customerFilter(r, c, f, "filter")
	if err != nil {
		return nil, err
	}
	n, known, err := r.CountPages(c.Account.Key, q, limits.CustomerCount)
	if !known {
		return nil, err
	}
	return &n, err
}

// customerFilter looks up whom and what a filter names, within what the viewer may see. Errors:
// NOT_FOUND of an advisor or an option, INVALID, LIMIT_EXCEEDED, with the field's place below field.
func (s *Services) customerFilter(r *store.Reader, c *Scope, f CustomerFilter, field string) (q store.CustomerFilter, err error) {
	q = store.CustomerFilter{
		Advisor: c.owner(), Assigned: f.Assigned, Source: f.Source, Label: f.Label, BoundFrom: f.BoundFrom, BoundUntil: f.BoundUntil,
		Region: f.Region, FollowState: f.FollowState, Interacted: f.Interacted48h, Replied: f.Replied,
	}
	if !f.BoundFrom.IsZero() && !f.BoundUntil.IsZero() && f.BoundUntil <= f.BoundFrom {
		return q, models.Invalid(field+".boundUntil", "is not later than boundFrom")
	}
	if q.Search, err = searched(c, f.Search, field+".search"); err != nil {
		return q, err
	}
	if f.Interacted48h != nil {
		q.InteractedSince = s.Now().Add(-limits.InteractedWithin)
	}
	if f.OutreachLeft != nil {
		if q.Outreach, err = s.outreachFilter(c, *f.OutreachLeft, field+".outreachLeft"); err != nil {
			return q, err
		}
	}
	if f.Advisor != nil {
		a, err := s.advisorRef(r, c, *f.Advisor, field+".advisor")
		if err != nil {
			return q, err
		}
		if c.Advisor != nil && c.Advisor.Key != a.Key {
			return q, models.NotFound("advisor", field+".advisor")
		}
		q.Advisor = a.Key
	}
	if err := s.filterGroup(r, c, f.Group, field+".group"); err != nil {
		return q, err
	}
	if err := filterIdents(c, f.OpenIDs, field+".openids"); err != nil {
		return q, err
	}
	if err := filterIdents(c, f.UnionIDs, field+".unionids"); err != nil {
		return q, err
	}
	q.Group, q.OpenIDs, q.UnionIDs = f.Group, f.OpenIDs, f.UnionIDs
	q.Tags, err = tagFilter(r, c, f.Tags, field+".tags")
	return q, err
}

// outreachFilter is a filter for who has at least so many outreaches left in the present month (rules E9, G3): nobody where the account has
// none that carries a message (rule G15). INVALID below 1.
func (s *Services) outreachFilter(c *Scope, left int, field string) (*store.OutreachFilter, error) {
	if left < 1 {
		return nil, models.Invalid(field, "is less than 1")
	}
	policy := c.contactPolicy()
	f := &store.OutreachFilter{Left: left, Month: policy.MonthOf(s.Now()), MassSends: c.Account.MassHead > 0}
	if policy.Reaches(1) {
		f.PerMonth = policy.OutreachPerMonth
	}
	return f, nil
}

// searched is a text to search for as it is compared. Errors: FORBIDDEN for an ANALYST without leave, INVALID, LIMIT_EXCEEDED.
func searched(c *Scope, text, field string) (models.Folded, error) {
	if text == "" {
		return "", nil
	}
	if err := c.asksFreeText(field); err != nil {
		return "", err
	}
	text, err := models.CheckName(text, field, limits.SearchRunes)
	return models.Folded(models.Fold(text)), err
}

// filterIdents checks a list of openids or unionids that a filter names; nil: none is named.
func filterIdents(c *Scope, list []models.Ident, field string) error {
	if list == nil {
		return nil
	}
	if err := c.asksFreeText(field); err != nil {
		return err
	}
	switch {
	case len(list) == 0:
		return models.Invalid(field, "names nobody")
	case len(list) > limits.FilterIdents:
		return models.TooMany(field, limits.FilterIdents, "at most %d", limits.FilterIdents)
	}
	return nil
}

// filterGroup sees to it that a group which a filter names is the viewer's to see; zero: none is named.
func (s *Services) filterGroup(r *store.Reader, c *Scope, group models.Key, field string) error {
	if group.IsZero() {
		return nil
	}
	groups, err := r.Groups(c.Account.Key, []models.Key{group})
	if err == nil && c.Advisor != nil && len(groups) > 0 {
		var own map[models.Key]*models.GroupList
		if own, err = r.GroupsByAdvisors(c.Account.Key, []models.Key{c.Advisor.Key}); err == nil &&
			(own[c.Advisor.Key] == nil || !slices.ContainsFunc(own[c.Advisor.Key].Groups, func(g *models.Group) bool { return g.Key == group })) {
			groups = nil
		}
	}
	if err == nil && len(groups) == 0 {
		err = models.NotFound("group", field)
	}
	return err
}

// tagFilter looks up the options that a filter names. Errors: LIMIT_EXCEEDED, NOT_FOUND.
func tagFilter(r *store.Reader, c *Scope, f TagFilter, field string) (q store.TagFilter, err error) {
	if len(f.Any)+len(f.All)+len(f.None) == 0 {
		return q, nil
	}
	library, err := r.TagLibrary(c.Account.Key)
	if err != nil {
		return q, err
	}
	if q.Any, err = optionKeys(library, f.Any, field+".any"); err != nil {
		return q, err
	}
	if q.All, err = optionKeys(library, f.All, field+".all"); err != nil {
		return q, err
	}
	q.None, err = optionKeys(library, f.None, field+".none")
	return q, err
}

// optionKeys finds options of the library. Errors: LIMIT_EXCEEDED, NOT_FOUND for one that it does not
// have.
func optionKeys(library models.TagLibrary, refs []TagOptionRef, field string) ([]models.Key, error) {
	if len(refs) > limits.FilterTags {
		return nil, models.TooMany(field, limits.FilterTags, "at most %d options", limits.FilterTags)
	}
	options := library.Options()
	keys := make([]models.Key, len(refs))
	for i, ref := range refs {
		option := options[ref.Key]
		if ref.Name != "" {
			option = library.OptionNamed(ref.Name)
		}
		if option == nil {
			return nil, models.NotFound("option", fmt.Sprintf("%s.%d", field, i))
		}
		keys[i] = option.Key
	}
	return keys, nil
}
