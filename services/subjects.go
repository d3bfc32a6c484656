package services

import (
	"context"
	"maps"
	"slices"

	"clientele/models"
)

// subjects are the rows that events are about, of one account, to be read together. They are the
// same for whoever asks: who may see them is decided for each viewer.
type subjects struct {
	customers     map[models.Key]*models.Customer
	conversations map[models.Key]*models.Conversation // by customer
	messages      map[models.Key]*models.Message
	notifications map[models.Key]*models.Notification
	jobs          map[models.Key]*models.Job
	changes       map[models.Key]*models.CustomerChange
	bindings      map[models.Key]*models.Binding
	scans         map[models.Key]*models.Scan
	advisors      map[models.Key]*models.Advisor
}

// add asks for the rows of events and answers for how many keys there are now.
func (s *subjects) add(events []*models.Event) int {
	if s.customers == nil {
		s.customers, s.conversations = map[models.Key]*models.Customer{}, map[models.Key]*models.Conversation{}
		s.messages, s.notifications = map[models.Key]*models.Message{}, map[models.Key]*models.Notification{}
		s.jobs, s.changes = map[models.Key]*models.Job{}, map[models.Key]*models.CustomerChange{}
		s.bindings, s.scans, s.advisors = map[models.Key]*models.Binding{}, map[models.Key]*models.Scan{}, map[models.Key]*models.Advisor{}
	}
	for _, e := range events {
		want(s.customers, e.Customer)
		if e.Stream != e.Account { // an account is told of no conversation
			want(s.conversations, e.Customer)
		}
		want(s.messages, e.Message)
		want(s.notifications, e.Notification)
		if e.Kind == models.EventJobChanged || e.Kind == models.EventJobEnded {
			want(s.jobs, e.Stream)
		}
		switch models.AccountEventKind(e.Kind) {
		case models.AccountCustomerChanged:
			want(s.changes, e.Subject)
		case models.AccountBindingChanged:
			want(s.bindings, e.Subject)
		case models.AccountCodeScanned:
			want(s.scans, e.Subject)
		case models.AccountInvitationAccepted, models.AccountInvitationRefused, models.AccountInvitationExpired:
			want(s.advisors, e.Subject)
		case models.AccountCustomersImported:
		}
	}
	return max(len(s.customers), len(s.messages), len(s.notifications), len(s.jobs), len(s.changes), len(s.bindings), len(s.scans), len(s.advisors))
}

// want asks for a key, if there is one.
func want[T any](rows map[models.Key]*T, key models.Key) {
	if !key.IsZero() {
		rows[key] = nil
	}
}

// of is what was read for an event; what is not there any more is nil.
func (s *subjects) of(e *models.Event) *models.Primed {
	return &models.Primed{
		Customer: s.customers[e.Customer], Conversation: s.conversations[e.Customer],
		Message: s.messages[e.Message], Notification: s.notifications[e.Notification], Job: s.jobs[e.Stream],
		Change: s.changes[e.Subject], Binding: s.bindings[e.Subject], Scan: s.scans[e.Subject], Advisor: s.advisors[e.Subject],
	}
}

// readSubjects reads what was asked for, one statement a kind.
func (s *Services) readSubjects(ctx context.Context, account models.Key, want *subjects) error {
	r := s.store.View(ctx)
	keys := slices.Collect(maps.Keys(want.customers))
	if err := fill(want.customers, keys, account, r.Customers, func(c *models.Customer) models.Key { return c.Key }); err != nil {
		return err
	}
	keys = slices.Collect(maps.Keys(want.conversations))
	if err := fill(want.conversations, keys, account, r.Conversations, func(c *models.Conversation) models.Key { return c.CustomerID }); err != nil {
		return err
	}
	keys = slices.Collect(maps.Keys(want.messages))
	if err := fill(want.messages, keys, account, r.Messages, func(m *models.Message) models.Key { return m.Key }); err != nil {
		return err
	}
	keys = slices.Collect(maps.Keys(want.notifications))
	if err := fill(want.notifications, keys, account, r.Notifications, func(n *models.Notification) models.Key { return n.Key }); err != nil {
		return err
	}
	if err := fill(want.changes, slices.Collect(maps.Keys(want.changes)), account, r.CustomerChanges, func(c *models.CustomerChange) models.Key { return c.Key }); err != nil {
		return err
	}
	if err := fill(want.bindings, slices.Collect(maps.Keys(want.bindings)), account, r.Bindings, func(b *models.Binding) models.Key { return b.Key }); err != nil {
		return err
	}
	if err := fill(want.scans, slices.Collect(maps.Keys(want.scans)), account, r.Scans, func(s *models.Scan) models.Key { return s.Key }); err != nil {
		return err
	}
	if err := fill(want.advisors, slices.Collect(maps.Keys(want.advisors)), account, r.Advisors, func(a *models.Advisor) models.Key { return a.Key }); err != nil {
		return err
	}
	return fill(want.jobs, slices.Collect(maps.Keys(want.jobs)), account, r.Jobs, func(j *models.Job) models.Key { return j.Key })
}

// fill reads the rows of keys into a map.
func fill[T any](
	into map[models.Key]*T, keys []models.Key, account models.Key,
	read func(account models.Key, keys []models.Key) ([]*T, error), of func(*T) models.Key,
) error {
	rows, err := read(account, keys)
	for _, row := range rows {
		into[of(row)] = row
	}
	return err
}
