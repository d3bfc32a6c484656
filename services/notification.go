package services

import (
	"context"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// NotificationPage reads a page of the viewer's notifications, latest first.
func (s *Services) NotificationPage(ctx context.Context, p relay.Page) ([]*models.Notification, error) {
	c, err := s.begin(ctx, mayNotifications)
	if err != nil {
		return nil, err
	}
	return s.store.View(ctx).NotificationPage(c.Account.Key, c.Advisor.Key, p)
}

// MarkNotificationsRead marks notifications of the viewer; NOT_FOUND, and none marked, when one
// is not theirs.
func (s *Services) MarkNotificationsRead(ctx context.Context, keys []models.Key) ([]*models.Notification, error) {
	c, err := s.begin(ctx, mayMarkNotices)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, models.Invalid("input.notificationIds", "is empty")
	}
	if len(keys) > limits.PageMax {
		return nil, models.TooMany("input.notificationIds", limits.PageMax, "at most %d in a call", limits.PageMax)
	}
	var ordered []*models.Notification
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		tx.OwnRecord()
		ordered = ordered[:0]
		customers, err := noticeCustomers(tx, keys)
		if err != nil {
			return err
		}
		// Inquiries are merged into under their conversation's lock, the others under their advisor's.
		if _, err := tx.LockConversations(customers); err != nil {
			return err
		}
		if _, err := tx.LockAdvisors([]models.Key{c.Advisor.Key}); err != nil {
			return err
		}
		rows, err := tx.Notifications(tx.Account, keys)
		if err != nil {
			return err
		}
		byKey := map[models.Key]*models.Notification{}
		for _, n := range rows {
			if n.AdvisorID == c.Advisor.Key {
				byKey[n.Key] = n
			}
		}
		var read []*models.Notification
		for _, k := range keys {
			n := byKey[k]
			if n == nil {
				return models.NotFound("notification", "input.notificationIds")
			}
			ordered = append(ordered, n)
			if n.ReadAt.IsZero() {
				n.ReadAt = tx.Now
				read = append(read, n)
			}
		}
		for _, n := range read { // the advisor's other devices
			tx.Emit(models.Event{Stream: n.AdvisorID, Kind: models.EventNotificationMade, Customer: n.CustomerID, Notification: n.Key})
		}
		return tx.UpdateNotifications(read)
	})
	return ordered, err
}

func noticeCustomers(tx *store.Tx, keys []models.Key) ([]models.Key, error) {
	rows, err := tx.Notifications(tx.Account, keys)
	var customers []models.Key
	for _, n := range rows {
		if !n.CustomerID.IsZero() {
			customers = append(customers, n.CustomerID)
		}
	}
	return customers, err
}

// NotificationsByKeys reads notifications of the viewer.
func (s *Services) NotificationsByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Notification, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Notifications(c.Account.Key, keys)
	seen := make(map[models.Key]*models.Notification, len(rows))
	for _, n := range rows {
		if c.Advisor != nil && n.AdvisorID == c.Advisor.Key {
			seen[n.Key] = n
		}
	}
	return seen, err
}

// Link is what a notification opens (rule G13); empty without a template or customer.
func (s *Services) Link(ctx context.Context, customer *models.Customer) (string, error) {
	c, err := s.tenant(ctx)
	if err != nil || customer == nil {
		return "", err
	}
	return models.Link(c.Account.ConversationLink, customer), nil
}
