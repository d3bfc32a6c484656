package services

import (
	"context"

	"clientele/internal/relay"
	"clientele/models"
	"clientele/store"
)

// CustomerChangeFilter says which changes a page holds; nil and zero fields say nothing.
type CustomerChangeFilter struct {
	Customer    *CustomerRef
	From, Until models.Time
}

// CustomerChangePage reads a page of the log of changes of customers, latest first (rule F3).
func (s *Services) CustomerChangePage(ctx context.Context, f CustomerChangeFilter, p relay.Page) ([]*models.CustomerChange, error) {
	c, err := s.begin(ctx, mayCustomerChanges)
	if err != nil {
		return nil, err
	}
	if f.Until != 0 && f.Until <= f.From {
		return nil, models.Invalid("filter.until", "is not later than from")
	}
	r := s.store.View(ctx)
	q := store.CustomerChangeFilter{From: f.From, Until: f.Until}
	if f.Customer != nil {
		customer, err := s.customerRef(r, c, *f.Customer, "filter.customer")
		if err != nil {
			return nil, err
		}
		q.Customer = customer.Key
	}
	return r.CustomerChangePage(c.Account.Key, q, p)
}
