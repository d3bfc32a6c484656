package services

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Outgoing is a text to send.
type Outgoing struct {
	To   CustomerRef
	Text string
	// IdempotencyKey is 1 to limits.IdempotencyKeyBytes of printable ASCII (rules E15, G5).
	IdempotencyKey string
}

// Send queues a text to a customer bound to the viewer and answers at once; the delivery job
// hands it to the channel. The allowance is taken in this transaction (rule G4, ADR 0007). The
// same key with the same body answers with the first message. Errors: INVALID, LIMIT_EXCEEDED,
// NOT_FOUND, NOT_FOLLOWING, REPLY_WINDOW_CLOSED, OUTREACH_UNAVAILABLE, IDEMPOTENCY_CONFLICT;
// UNAVAILABLE when the outcome is not known: the same key tells it.
func (s *Services) Send(ctx context.Context, in Outgoing) (*models.Message, error) {
	c, err := s.begin(ctx, maySend)
	if err != nil {
		return nil, err
	}
	if err := models.CheckText(in.Text, "input.text", limits.TextBytes); err != nil {
		return nil, err
	}
	if err := models.CheckIdent(in.IdempotencyKey, "input.idempotencyKey", limits.IdempotencyKeyBytes); err != nil {
		return nil, err
	}
	customer, err := s.customerRef(s.store.View(ctx), c, in.To, "input.customer")
	if err != nil {
		return nil, err
	}
	once := sendOnce(c, in.IdempotencyKey, append(customer.Key[:], in.Text...))
	return s.sendWith(ctx, c, once, func(tx *store.Tx, once *models.Idempotency) (*models.Message, error) {
		return s.send(tx, c, customer.Key, in.Text, once)
	})
}

// sendOnce is the row of an idempotency key of the viewer's sends, of which body is what counts.
func sendOnce(c *Scope, key string, body []byte) *models.Idempotency {
	sum := sha256.Sum256(body)
	return &models.Idempotency{
		AccountID: c.Account.Key, Subject: models.Ident("advisor:" + c.Advisor.Key.String()),
		IdemKey: models.Ident(key), BodyHash: sum[:],
	}
}

// sendWith runs a send in its transaction and wakes the delivery job.
func (s *Services) sendWith(ctx context.Context, c *Scope, once *models.Idempotency, send func(*store.Tx, *models.Idempotency) (*models.Message, error)) (*models.Message, error) {
	var m *models.Message
	again := false // the key was there before, and nothing was written
	barrier := s.store.Durable()
	taken := s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) (err error) {
		tx.OwnRecord()
		row := *once
		m, err = send(tx, &row)
		again = row.ResultID.IsZero()
		return err
	})
	err := taken
	if errors.Is(taken, store.ErrDuplicate) {
		// The same key came twice at one instant, for two customers: the first one committed.
		var first *models.Message
		if first, err = repeated(s.store.View(ctx), once); first == nil && err == nil {
			err = unavailable(taken) // another key than this one
		}
		m, again = first, true
	}
	if err == nil && again {
		// What the first one committed could be seen, and may yet be lost with the database: an
		// answer that writes nothing syncs nothing.
		err = unavailable(barrier(ctx))
	}
	if err != nil {
		return nil, err
	}
	s.wakeDeliveries()
	return m, nil
}

// repeated is the first result of an idempotency key, nil when the key is new.
func repeated(r *store.Reader, once *models.Idempotency) (*models.Message, error) {
	row, err := r.Idempotent(once.AccountID, once.Subject, once.IdemKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // a new key is no fault.
	}
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(row.BodyHash, once.BodyHash) {
		return nil, errKeyConflict()
	}
	rows, err := r.Messages(once.AccountID, []models.Key{row.ResultID})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.NotFound("message", "")
	}
	return rows[0], nil
}

// send sets once.ResultID if the key is new.
func (s *Services) send(tx *store.Tx, c *Scope, key models.Key, text string, once *models.Idempotency) (*models.Message, error) {
	customer, conv, err := lockConversation(tx, key)
	if err != nil {
		return nil, err
	}
	if customer.AdvisorID != c.Advisor.Key {
		return nil, models.NotFound("customer", "input.customer")
	}
	if m, err := repeated(&tx.Reader, once); m != nil || err != nil {
		return m, err
	}
	slot, err := s.take(tx, c, customer, conv)
	if err != nil {
		return nil, err
	}
	m := &models.Message{
		AccountID: tx.Account, Key: models.KeyAfter(conv.LastMessageID), CustomerID: key, AdvisorID: c.Advisor.Key,
		Direction: models.FromAdvisor, Kind: models.ContentText, Text: text,
		Status: models.StatusQueued, Slot: slot, At: tx.Now, StatusAt: tx.Now, CreatedAt: conv.WrittenAt(tx.Now),
	}
	conv.LastMessageID, conv.ActiveAt, conv.LastAdvisorAt = m.Key, max(conv.ActiveAt, m.CreatedAt), tx.Now
	return m, s.queue(tx, customer, conv, m, once, tx.InsertMessages)
}

// take takes one message from the ledger of a locked conversation for the viewer, by the decision
// that contactability answers with (rule G4).
func (s *Services) take(tx *store.Tx, c *Scope, customer *models.Customer, conv *models.Conversation) (models.Slot, error) {
	account, err := catchUp(tx, customer, conv)
	if err != nil {
		return models.Slot{}, err
	}
	policy := account.Policy()
	if err := contactability(account, policy, customer, conv.Contact, c.Advisor.Key, tx.Now).Err(); err != nil {
		return models.Slot{}, err
	}
	contact, slot, refused := conv.Contact.Take(tx.Now, policy, 1)
	if refused != nil {
		return models.Slot{}, refused
	}
	conv.Contact = contact
	return slot, nil
}

// queue writes an attempt whose slot was taken: the ledger, the delivery, the message by write,
// and the key's first result; and tells who wrote it.
func (s *Services) queue(tx *store.Tx, customer *models.Customer, conv *models.Conversation, m *models.Message,
	once *models.Idempotency, write func([]*models.Message) error,
) error {
	once.ResultID, once.CreatedAt = m.Key, tx.Now
	if err := tx.UpdateConversations([]*models.Conversation{conv}); err != nil {
		return err
	}
	if err := tx.Enqueue(&models.Delivery{
		AccountID: tx.Account, CustomerID: m.CustomerID, MessageID: m.Key, State: models.DeliveryWaiting, CreatedAt: tx.Now,
	}); err != nil {
		return err
	}
	if err := write([]*models.Message{m}); err != nil {
		return err
	}
	if err := tx.InsertIdempotency(once); err != nil {
		return err
	}
	tx.Emit(models.Event{
		Stream: m.AdvisorID, Kind: models.EventMessageStatus, Customer: m.CustomerID, Message: m.Key,
		Primed: &models.Primed{Customer: customer, Conversation: conv, Message: m},
	})
	return nil
}

// MessagesByKeys reads messages whose conversations the viewer may read.
func (s *Services) MessagesByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Message, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	rows, err := r.Messages(c.Account.Key, keys)
	if err != nil {
		return nil, err
	}
	customers := make([]models.Key, len(rows))
	for i, m := range rows {
		customers[i] = m.CustomerID
	}
	conversations, err := r.Conversations(c.Account.Key, customers)
	if err != nil {
		return nil, err
	}
	readable := map[models.Key]*models.Conversation{}
	for _, conv := range conversations {
		if c.readsConversation(conv) {
			readable[conv.CustomerID] = conv
		}
	}
	seen := make(map[models.Key]*models.Message, len(rows))
	for _, m := range rows {
		if conv := readable[m.CustomerID]; conv != nil && c.showsMessage(conv, m, s.Now()) {
			seen[m.Key] = m
		}
	}
	return seen, nil
}

// showsMessage reports whether a message of a conversation that the viewer may read is shown to them: an
// advisor sees what is from their time (rule E6), and everybody what is not too old to be read, or is the
// conversation's last (rule G11).
func (c *Scope) showsMessage(conv *models.Conversation, m *models.Message, now models.Time) bool {
	if c.Advisor != nil && m.CreatedAt < conv.VisibleFrom {
		return false
	}
	return m.Key == conv.LastMessageID || m.CreatedAt >= c.Account.ReadableFrom(now)
}

// LastMessages reads messages that stand on conversations the viewer was already shown, without
// asking for their conversations again.
func (s *Services) LastMessages(ctx context.Context, conversations []*models.Conversation) (map[models.Key]*models.Message, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	of := map[models.Key]*models.Conversation{}
	var keys []models.Key
	for _, conv := range conversations {
		if c.readsConversation(conv) && !conv.LastMessageID.IsZero() {
			keys = append(keys, conv.LastMessageID)
			of[conv.LastMessageID] = conv
		}
	}
	rows, err := s.store.View(ctx).Messages(c.Account.Key, keys)
	seen := make(map[models.Key]*models.Message, len(rows))
	for _, m := range rows {
		if c.showsMessage(of[m.Key], m, s.Now()) {
			seen[m.CustomerID] = m
		}
	}
	return seen, err
}
