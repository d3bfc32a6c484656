package services

import (
	"context"

	"clientele/models"
	"clientele/store"
)

// SettleFirst settles the message at the head of a customer's outbound queue as the delivery job
// does, but with the outcome that is given: SENT, UNKNOWN, or FAILED for why. at is when it was
// handed over. It answers the message's key.
func (s *Services) SettleFirst(ctx context.Context, account, customer models.Key, status models.MessageStatus, why *Refusal, at models.Time) (models.Key, error) {
	var key models.Key
	err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		c, conv, err := lockConversation(tx, customer)
		if err != nil {
			return err
		}
		if _, err := tx.LeaseOutbox(customer); err != nil {
			return err
		}
		d, err := tx.FirstDelivery(customer)
		if err != nil {
			return err
		}
		rows, err := tx.Messages(account, []models.Key{d.MessageID})
		if err != nil {
			return err
		}
		key = rows[0].Key
		switch status {
		case models.StatusSent:
			return s.sent(tx, c, conv, d, rows[0])
		case models.StatusUnknown:
			return s.unknown(tx, c, conv, d, rows[0])
		default:
			return s.failed(tx, c, conv, d, rows[0], at, why)
		}
	})
	return key, err
}
