package services

import (
	"context"

	"clientele/events"
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

// CustomerChangeFeed reads what the account's stream has behind a cursor, nil: from the oldest event that is
// kept; it looks at `first` events at most (rules F3, N4). INVALID when after is no cursor of the stream,
// CURSOR_EXPIRED when it cannot be continued. What it answers is durable.
func (s *Services) CustomerChangeFeed(ctx context.Context, after *string, first int) (*models.CustomerChangeFeed, error) {
	c, err := s.begin(ctx, mayCustomerChangeFeed)
	if err != nil {
		return nil, err
	}
	var cursor *events.Cursor
	if after != nil {
		at, err := events.DecodeCursor(*after, "after")
		if err != nil {
			return nil, err
		}
		if at.Stream != c.stream().Stream {
			return nil, models.Invalid("after", "a cursor of another stream")
		}
		cursor = &at
	}
	var feed *models.CustomerChangeFeed
	err = s.Snapshot(ctx, func(ctx context.Context) error {
		feed, err = s.customerChangeFeed(ctx, c, cursor, first)
		return err
	})
	return feed, err
}

func (s *Services) customerChangeFeed(ctx context.Context, c *Scope, after *events.Cursor, first int) (*models.CustomerChangeFeed, error) {
	r, id := s.store.View(ctx), c.stream()
	epoch, err := r.Epoch()
	if err != nil {
		return nil, err
	}
	head, err := r.StreamHead(id)
	if err != nil {
		return nil, err
	}
	part := models.StreamRange{ID: id, After: head.Floor, UpTo: head.Head}
	if after != nil {
		if err := after.Continue(epoch, head.Floor, head.Head); err != nil {
			return nil, err
		}
		part.After = after.Seq
	}
	rows, err := r.Events([]models.StreamRange{part}, first)
	if err != nil {
		return nil, err
	}
	last := part.After + int64(len(rows))
	feed := &models.CustomerChangeFeed{Events: []models.CustomerChangeEvent{}, Cursor: cursorAt(epoch, id, last), HasMore: last < head.Head}
	var about subjects
	var told []*models.Event
	for i := range rows {
		if rows[i].Kind == models.EventCustomerChanged {
			told = append(told, &rows[i])
		}
	}
	about.add(told)
	if err := s.readSubjects(ctx, id.Account, &about); err != nil {
		return nil, err
	}
	for _, e := range told {
		meta := models.EventMeta{Cursor: cursorAt(epoch, id, e.Seq), Sequence: e.Seq, At: e.At, Scope: c}
		feed.Events = append(feed.Events, customerChanged(meta, about.of(e)))
	}
	return feed, nil
}

// customerChanged is the event of a change as it is told.
func customerChanged(meta models.EventMeta, p *models.Primed) models.CustomerChangeEvent {
	if p.Change == nil || p.Customer == nil || !p.Customer.ErasedAt.IsZero() {
		return models.Withdrawn{EventMeta: meta}
	}
	meta.Primed = p
	return models.CustomerChanged{EventMeta: meta, Change: p.Change}
}
