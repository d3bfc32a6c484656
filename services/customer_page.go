package services

import (
	"context"
	"fmt"

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
	// AnyTag, AllTags, NoTag: who has one of these options at least, all of them, none of them.
	AnyTag, AllTags, NoTag []TagOptionRef
	Source                 models.BindingSource
	// BoundFrom is the earliest binding, BoundUntil is later than the latest.
	BoundFrom, BoundUntil models.Time
	Region                models.Region
	FollowState           models.FollowState
	Interacted48h         *bool
	Replied               *bool
}

// CustomerPage is a page of customers.
type CustomerPage struct {
	Customers []*models.Customer
	// ByBinding says that it is ordered by the binding, as an advisor's list is, and not by when they
	// were first seen.
	ByBinding bool
	// End is where a page that found fewer than were asked for stopped looking, and goes on; nil: see
	// store.CustomerPage.
	End *relay.Keyset
}

// CustomerPage reads a page of customers (rule E9).
func (s *Services) CustomerPage(ctx context.Context, f CustomerFilter, p relay.Page) (page CustomerPage, err error) {
	c, err := s.begin(ctx, mayCustomers)
	if err != nil {
		return page, err
	}
	r := s.store.View(ctx)
	q, err := s.customerFilter(r, c, f, "filter")
	if err != nil {
		return page, err
	}
	page.ByBinding = !q.Advisor.IsZero()
	if page.ByBinding && f.Assigned != nil && !*f.Assigned {
		return page, nil // an advisor's customers are all assigned
	}
	if page.Customers, page.End, err = r.CustomerPage(c.Account.Key, q, p); err != nil {
		return CustomerPage{}, err
	}
	for i, row := range page.Customers {
		page.Customers[i] = c.shown(row)
	}
	return page, nil
}

// customerFilter looks up whom and what a filter names, within what the viewer may see. Errors:
// NOT_FOUND of an advisor or an option, INVALID, LIMIT_EXCEEDED, with the field's place below field.
func (s *Services) customerFilter(r *store.Reader, c *Scope, f CustomerFilter, field string) (q store.CustomerFilter, err error) {
	q = store.CustomerFilter{
		Advisor: c.owner(), Assigned: f.Assigned, Source: f.Source, BoundFrom: f.BoundFrom, BoundUntil: f.BoundUntil,
		Region: f.Region, FollowState: f.FollowState, Interacted: f.Interacted48h, Replied: f.Replied,
	}
	if !f.BoundFrom.IsZero() && !f.BoundUntil.IsZero() && f.BoundUntil <= f.BoundFrom {
		return q, models.Invalid(field+".boundUntil", "is not later than boundFrom")
	}
	if f.Interacted48h != nil {
		q.InteractedSince = s.Now().Add(-limits.InteractedWithin)
	}
	if f.Advisor != nil {
		a, err := s.advisorRef(r, c.Account.Key, *f.Advisor, field+".advisor")
		if err != nil {
			return q, err
		}
		if c.Advisor != nil && c.Advisor.Key != a.Key {
			return q, models.NotFound("advisor", field+".advisor")
		}
		q.Advisor = a.Key
	}
	if len(f.AnyTag)+len(f.AllTags)+len(f.NoTag) == 0 {
		return q, nil
	}
	library, err := r.TagLibrary(c.Account.Key)
	if err != nil {
		return q, err
	}
	for _, list := range []struct {
		name string
		refs []TagOptionRef
		keys *[]models.Key
	}{{"any", f.AnyTag, &q.AnyTag}, {"all", f.AllTags, &q.AllTags}, {"none", f.NoTag, &q.NoTag}} {
		if *list.keys, err = optionKeys(library, list.refs, field+".tags."+list.name); err != nil {
			return q, err
		}
	}
	return q, nil
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
