package services

import (
	"context"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Resend queues a new attempt of a message of the viewer's that FAILED or is UNKNOWN, with its
// content unchanged and a new check of the ledger (rule G6). What an UNKNOWN attempt took stays
// taken; what the new one takes is settled by itself. The message keeps its place in the record.
// The same key for the same message answers with the message as it now is. Errors: INVALID,
// NOT_FOUND (unknown, another's, hidden, too old to be read, or of a customer who is not the viewer's), STATE (neither
// FAILED nor UNKNOWN, nor the viewer's own writing), NOT_FOLLOWING, REPLY_WINDOW_CLOSED,
// OUTREACH_UNAVAILABLE, IDEMPOTENCY_CONFLICT; UNAVAILABLE when the outcome is not known: the same
// key tells it. Of two at once one is queued, the other meets STATE.
func (s *Services) Resend(ctx context.Context, message models.Key, idempotencyKey string) (*models.Message, error) {
	c, err := s.begin(ctx, mayResend)
	if err != nil {
		return nil, err
	}
	if err := models.CheckIdent(idempotencyKey, "input.idempotencyKey", limits.IdempotencyKeyBytes); err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Messages(c.Account.Key, []models.Key{message})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.NotFound("message", "input.messageId")
	}
	once := sendOnce(c, idempotencyKey, append([]byte("resend:"), message[:]...))
	return s.sendWith(ctx, c, once, func(tx *store.Tx, once *models.Idempotency) (*models.Message, error) {
		return s.resend(tx, c, rows[0].CustomerID, message, once)
	})
}

func (s *Services) resend(tx *store.Tx, c *Scope, key, message models.Key, once *models.Idempotency) (*models.Message, error) {
	unknown := models.NotFound("message", "input.messageId")
	customer, conv, err := lockConversation(tx, key)
	if models.CodeOf(err) == models.CodeNotFound {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	rows, err := tx.Messages(tx.Account, []models.Key{message})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || customer.AdvisorID != c.Advisor.Key || rows[0].AdvisorID != c.Advisor.Key || !c.showsMessage(conv, rows[0], tx.Now) {
		return nil, unknown
	}
	m := rows[0]
	if first, err := repeated(&tx.Reader, once); first != nil || err != nil {
		return first, err
	}
	if m.Direction != models.FromAdvisor || m.Status != models.StatusFailed && m.Status != models.StatusUnknown {
		return nil, models.Errorf(models.CodeState, "the message is %s; only what FAILED or is UNKNOWN can be resent", m.Status)
	}
	slot, err := s.take(tx, c, customer, conv)
	if err != nil {
		return nil, err
	}
	m.Status, m.FailureReason, m.StatusAt, m.Slot = models.StatusQueued, "", tx.Now, slot
	return m, s.queue(tx, customer, conv, m, once, tx.UpdateMessageAttempts)
}
