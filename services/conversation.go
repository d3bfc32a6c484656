package services

import (
	"context"

	"clientele/auth"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// InboxFilter says which conversations an inbox page holds (rule G9).
type InboxFilter struct {
	Unread, Interacted48h, HasReplied bool
	Tags                              TagFilter
	// Search is as in CustomerFilter.
	Search string
}

// Inbox reads a page of the viewer's conversations, latest activity first.
func (s *Services) Inbox(ctx context.Context, f InboxFilter, p relay.Page) ([]*models.Conversation, error) {
	c, err := s.begin(ctx, mayInbox)
	if err != nil {
		return nil, err
	}
	q := store.InboxFilter{Unread: f.Unread, HasReplied: f.HasReplied}
	if q.Search, err = searched(c, f.Search, "filter.search"); err != nil {
		return nil, err
	}
	if f.Interacted48h {
		q.InteractedSince = s.Now().Add(-limits.InteractedWithin)
	}
	r := s.store.View(ctx)
	if q.Tags, err = tagFilter(r, c, f.Tags, "filter.tags"); err != nil {
		return nil, err
	}
	return r.InboxPage(c.Account.Key, c.Advisor.Key, q, p)
}

// Conversation finds the one with a customer the viewer may see. A reading by anybody but the advisor is
// put into the audit log first (rule G12). FORBIDDEN for an ANALYST without leave (rule V8).
func (s *Services) Conversation(ctx context.Context, ref CustomerRef) (*models.Conversation, error) {
	c, err := s.begin(ctx, mayConversation)
	if err != nil {
		return nil, err
	}
	if err := c.asksFreeText(""); err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	customer, err := s.customerRef(r, c, ref, "customer")
	if err != nil {
		return nil, err
	}
	if err := s.auditReading(ctx, c, customer.Key); err != nil {
		return nil, err
	}
	rows, err := r.Conversations(c.Account.Key, []models.Key{customer.Key})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.NotFound("conversation", "customer")
	}
	return rows[0], nil
}

// auditReading records that the merchant or an analyst reads a customer's messages; an advisor reads their own.
func (s *Services) auditReading(ctx context.Context, c *Scope, customers ...models.Key) error {
	if c.Viewer.Role == auth.RoleAdvisor || len(customers) == 0 {
		return nil
	}
	var readings []store.Change
	seen := map[models.Key]bool{}
	for _, k := range customers {
		if !seen[k] {
			seen[k] = true
			readings = append(readings, store.Change{Action: "readConversation", TargetKind: "Conversation", Target: k})
		}
	}
	return s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error { return tx.Audit(readings...) })
}

// ConversationsByKeys reads conversations whose customers the viewer may see, and whose messages
// they may read.
func (s *Services) ConversationsByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Conversation, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Conversations(c.Account.Key, keys)
	seen := make(map[models.Key]*models.Conversation, len(rows))
	for _, r := range rows {
		if c.readsConversation(r) {
			seen[r.CustomerID] = r
		}
	}
	return seen, err
}

// readsConversation is readsMessages for a conversation's row, which repeats the advisor.
func (c *Scope) readsConversation(conv *models.Conversation) bool {
	return c.readsMessages(&models.Customer{AdvisorID: conv.AdvisorID})
}

// Contactability answers "may I write?" (rule G4) for a conversation, by the code that decides
// the send.
func (s *Services) Contactability(ctx context.Context, customer *models.Customer, conv *models.Conversation) (models.Contactability, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return models.Contactability{}, err
	}
	ledger, err := c.ledger(s.store.View(ctx), customer, conv, s.Now())
	if err != nil {
		return models.Contactability{}, err
	}
	return contactability(c.Account, c.contactPolicy(), customer, ledger, customer.AdvisorID, s.Now()), nil
}

// MayWrite answers it for a customer that is named.
func (s *Services) MayWrite(ctx context.Context, ref CustomerRef) (models.Contactability, error) {
	c, err := s.begin(ctx, mayContactability)
	if err != nil {
		return models.Contactability{}, err
	}
	var answer models.Contactability
	err = s.store.Read(ctx, func(r *store.Reader) error {
		customer, err := s.customerRef(r, c, ref, "customer")
		if err != nil {
			return err
		}
		rows, err := r.Conversations(c.Account.Key, []models.Key{customer.Key})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return models.NotFound("customer", "customer")
		}
		ledger, err := c.ledger(r, customer, rows[0], s.Now())
		if err != nil {
			return err
		}
		answer = contactability(c.Account, c.contactPolicy(), customer, ledger, c.Advisor.Key, s.Now())
		return nil
	})
	return answer, err
}

// contactability is the one decision behind the query and the send: what stands before the
// ledger, then the ledger, caught up with the account's mass sends.
func contactability(a *models.Account, p models.Policy, customer *models.Customer, ledger models.Contact, advisor models.Key, now models.Time) models.Contactability {
	if why := unreachable(a, customer, advisor); why != "" {
		return models.Refused(why)
	}
	return ledger.MayWrite(now, p)
}

// unreachable is why an advisor may not write to a customer, whatever the ledger says (rules A1,
// V3, E12); empty: they may.
func unreachable(a *models.Account, customer *models.Customer, advisor models.Key) models.ContactReason {
	switch {
	case !a.IsOpen():
		return models.ReasonAccountClosed
	case customer.AdvisorID.IsZero() || customer.AdvisorID != advisor:
		return models.ReasonNotBound
	case customer.FollowState != models.Following || customer.BoundTo().IsZero():
		return models.ReasonNotFollowing
	}
	return ""
}

// MessagePage reads a page of a conversation that the viewer may read, of messages that are not too old to be
// read (rule G11).
func (s *Services) MessagePage(ctx context.Context, conv *models.Conversation, p relay.Page) ([]*models.Message, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	if !c.readsConversation(conv) {
		return nil, models.Errorf(models.CodeForbidden, "messages are not for %s", c.Viewer.Role)
	}
	from := c.Account.ReadableFrom(s.Now())
	if c.Advisor != nil {
		from = max(from, conv.VisibleFrom)
	}
	return s.store.View(ctx).MessagePage(c.Account.Key, conv.CustomerID, from, p)
}

// MarkRead marks a conversation as read up to a message, or whole (rule G10), and closes the
// inquiry when nothing is left unread (rule N3).
func (s *Services) MarkRead(ctx context.Context, ref CustomerRef, upTo models.Key) (*models.Conversation, error) {
	c, err := s.begin(ctx, mayMarkRead)
	if err != nil {
		return nil, err
	}
	customer, err := s.customerRef(s.store.View(ctx), c, ref, "input.customer")
	if err != nil {
		return nil, err
	}
	var conv *models.Conversation
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		tx.OwnRecord()
		_, conv, err = lockConversation(tx, customer.Key)
		if err != nil {
			return err
		}
		if conv.AdvisorID != c.Advisor.Key {
			return models.NotFound("customer", "input.customer")
		}
		return markRead(tx, c, conv, upTo)
	})
	return conv, err
}

func markRead(tx *store.Tx, c *Scope, conv *models.Conversation, upTo models.Key) error {
	if upTo.IsZero() {
		upTo = conv.LastMessageID
	} else if rows, err := tx.Messages(tx.Account, []models.Key{upTo}); err != nil {
		return err
	} else if len(rows) == 0 || rows[0].CustomerID != conv.CustomerID || !c.showsMessage(conv, rows[0], tx.Now) {
		return models.NotFound("message", "input.upToMessageId")
	}
	if !conv.ReadUpTo.Less(upTo) && (upTo != conv.LastMessageID || conv.Unread == 0) {
		return nil // read further already
	}
	conv.ReadUpTo = upTo
	from := conv.VisibleFrom
	if upTo == conv.LastMessageID {
		conv.Unread = 0
	} else {
		n, err := tx.CountFromCustomer(tx.Account, conv.CustomerID, upTo, max(from, 0))
		if err != nil {
			return err
		}
		conv.Unread = min(conv.Unread, int(n))
	}
	var read []*models.Notification
	if conv.Unread == 0 && !conv.InquiryID.IsZero() {
		var err error
		if read, err = tx.Notifications(tx.Account, []models.Key{conv.InquiryID}); err != nil {
			return err
		}
		for _, n := range read {
			n.ReadAt = tx.Now
		}
		conv.InquiryID = models.Key{}
	}
	if err := tx.UpdateConversations([]*models.Conversation{conv}); err != nil {
		return err
	}
	if err := tx.UpdateNotifications(read); err != nil {
		return err
	}
	tx.Emit(models.Event{Stream: c.Advisor.Key, Kind: models.EventConversationChanged, Customer: conv.CustomerID})
	return nil
}

// lockConversation locks one customer and their conversation.
func lockConversation(tx *store.Tx, key models.Key) (*models.Customer, *models.Conversation, error) {
	customers, conversations, err := tx.LockCustomers([]models.Key{key})
	if err != nil {
		return nil, nil, err
	}
	if len(customers) == 0 {
		return nil, nil, models.NotFound("customer", "")
	}
	return customers[0], conversations[0], nil
}
