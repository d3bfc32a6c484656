package services

import (
	"errors"

	"clientele/models"
	"clientele/store"
)

// Each attempt to send a message is settled once: sent, failed or unknown, under the locks of
// its conversation and its queue. m is the message as it stands under those locks, with the slot
// of this very attempt.

// sent records that the channel accepted a message (rules G4, G6).
func (s *Services) sent(tx *store.Tx, customer *models.Customer, conv *models.Conversation, d *models.Delivery, m *models.Message) error {
	if conv.Contact.Superseded(m.Slot) {
		if err := settleSuperseded(tx, conv, m.Slot, models.StatusSent); err != nil {
			return err
		}
	} else {
		conv.Contact = conv.Contact.Sent(m.Slot)
	}
	return s.settle(tx, customer, conv, d, m, models.StatusSent, "")
}

// unknown records that nobody knows whether the channel has a message; its allowance stays
// taken, also when the message is resent (rule G6).
func (s *Services) unknown(tx *store.Tx, customer *models.Customer, conv *models.Conversation, d *models.Delivery, m *models.Message) error {
	return s.settle(tx, customer, conv, d, m, models.StatusUnknown, "")
}

// failed records that a message certainly did not go out, gives its slot back (rule G4), and
// follows what the platform said of the reply window (rule G2). at is when it was claimed.
func (s *Services) failed(tx *store.Tx, customer *models.Customer, conv *models.Conversation, d *models.Delivery,
	m *models.Message, at models.Time, why *Refusal,
) error {
	account, err := tx.Reader.Account(tx.Account)
	if err != nil {
		return err
	}
	if conv.Contact.Superseded(m.Slot) {
		if err := settleSuperseded(tx, conv, m.Slot, models.StatusFailed); err != nil {
			return err
		}
	} else {
		conv.Contact = conv.Contact.Return(m.Slot, tx.Now, account.Policy())
	}
	if why.WindowOver {
		conv.Contact = conv.Contact.PlatformEnded(at)
	}
	if why.WindowSpent {
		conv.Contact = conv.Contact.PlatformExhausted(at)
	}
	return s.settle(tx, customer, conv, d, m, models.StatusFailed, why.Reason)
}

// settleSuperseded records what became of a message of an outreach that another has superseded,
// in that outreach's row, and returns the outreach to its month if all its messages have FAILED
// (rule G4).
func settleSuperseded(tx *store.Tx, conv *models.Conversation, slot models.Slot, status models.MessageStatus) error {
	o, err := tx.Outreach(tx.Account, conv.CustomerID, slot.No)
	if errors.Is(err, store.ErrNotFound) {
		return nil // of what has no record nothing can be returned, and the message must not stick
	}
	if err != nil {
		return err
	}
	if status == models.StatusSent {
		*o = o.Settled()
	} else {
		conv.Contact, *o = conv.Contact.ReturnTo(*o)
	}
	return tx.UpdateOutreach(o)
}

// settle writes the end of a delivery and tells who wrote the message, or of one of the system the customer's advisor.
func (s *Services) settle(tx *store.Tx, customer *models.Customer, conv *models.Conversation, d *models.Delivery,
	m *models.Message, status models.MessageStatus, reason models.FailureReason,
) error {
	m.Status, m.FailureReason, m.StatusAt = status, reason, tx.Now
	if err := tx.UpdateConversations([]*models.Conversation{conv}); err != nil {
		return err
	}
	if err := tx.DeleteDelivery(d); err != nil {
		return err
	}
	told := m.AdvisorID
	if m.Direction == models.FromSystem { // nobody wrote it: it is told to whose customer it went
		told = customer.AdvisorID
	}
	if told.IsZero() {
		return tx.UpdateMessageStatus([]*models.Message{m})
	}
	tx.Emit(models.Event{
		Stream: told, Kind: models.EventMessageStatus, Customer: m.CustomerID, Message: m.Key,
		Primed: &models.Primed{Customer: customer, Conversation: conv, Message: m},
	})
	return tx.UpdateMessageStatus([]*models.Message{m})
}
