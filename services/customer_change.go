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
	rows, err := r.CustomerChangePage(c.Account.Key, q, p)
	if err != nil {
		return nil, err
	}
	return rows, hideErased(r, c.Account.Key, rows)
}

// hideErased blanks changes of customers who are being erased, as the database soon has them.
func hideErased(r *store.Reader, account models.Key, rows []*models.CustomerChange) error {
	keys := make([]models.Key, len(rows))
	for i, row := range rows {
		keys[i] = row.CustomerID
	}
	customers, err := r.Customers(account, keys)
	erased := map[models.Key]bool{}
	for _, customer := range customers {
		erased[customer.Key] = !customer.ErasedAt.IsZero()
	}
	for _, row := range rows {
		if erased[row.CustomerID] {
			row.Was, row.Became = models.Lines{models.Erased}, models.Lines{models.Erased}
		}
	}
	return err
}

// changesAlone are the kinds of an account's events that the feed of changes tells (rule F3).
var changesAlone = models.AccountEventKinds{models.AccountCustomerChanged}

// CustomerChangeFeed is AccountEvents of changes of customers alone (rule F3).
func (s *Services) CustomerChangeFeed(ctx context.Context, after *string, first int) (*models.CustomerChangeFeed, error) {
	feed, err := accountFeed[models.CustomerChangeEvent](ctx, s, mayCustomerChangeFeed, changesAlone, after, first)
	return &models.CustomerChangeFeed{Feed: feed}, err
}

// WatchCustomerChanges opens a watch of what is changed of the account's customers (rule F3), with the
// errors of Watch.
func (s *Services) WatchCustomerChanges(ctx context.Context, after *string) (*Watch, error) {
	return s.watchAccount(ctx, mayCustomerChangeFeed, changesAlone, after)
}
