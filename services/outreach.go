package services

import (
	"context"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// ConfirmOutreach confirms an outreach to a customer of the viewer: it consumes one of the month
// and opens a session (rule G3). confirmed says whether it did: while a session is open the
// answer is that session, and while the reply window holds a message nothing is needed; neither
// consumes. However many devices confirm at once, one outreach is consumed. Errors: NOT_FOUND,
// NOT_FOLLOWING, OUTREACH_UNAVAILABLE (rule G15), LIMIT_EXCEEDED with the month's number and
// when the next begins.
func (s *Services) ConfirmOutreach(ctx context.Context, ref CustomerRef) (conv *models.Conversation, confirmed bool, err error) {
	c, err := s.begin(ctx, mayConfirmOutreach)
	if err != nil {
		return nil, false, err
	}
	customer, err := s.customerRef(s.store.View(ctx), c, ref, "input.customer")
	if err != nil {
		return nil, false, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		conv, confirmed, err = s.confirm(tx, c, customer.Key)
		return err
	})
	return conv, confirmed, err
}

func (s *Services) confirm(tx *store.Tx, c *Scope, key models.Key) (*models.Conversation, bool, error) {
	customer, conv, err := lockConversation(tx, key)
	if err != nil {
		return nil, false, err
	}
	if customer.AdvisorID != c.Advisor.Key {
		return nil, false, models.NotFound("customer", "input.customer")
	}
	account, err := catchUp(tx, customer, conv)
	if err != nil {
		return nil, false, err
	}
	if why := unreachable(account, customer, c.Advisor.Key); why != "" {
		return nil, false, models.Refused(why).Err()
	}
	contact, refused := conv.Contact.Confirm(tx.Now, account.Policy())
	if refused != nil {
		return nil, false, refused
	}
	confirmed := contact.SessionNo != conv.Contact.SessionNo
	if err := tx.Audit(store.Change{
		Action: "confirmOutreach", TargetKind: "Conversation", Target: key,
		Before: map[string]any{"no": conv.Contact.SessionNo}, After: map[string]any{"confirmed": confirmed, "no": contact.SessionNo},
	}); err != nil || !confirmed {
		return conv, false, err
	}
	superseded := conv.Contact.Newest()
	superseded.AccountID, superseded.CustomerID = tx.Account, key
	conv.Contact = contact
	if err := tx.UpdateConversations([]*models.Conversation{conv}); err != nil {
		return nil, false, err
	}
	if superseded.No > 0 {
		if err := tx.UpdateOutreach(&superseded); err != nil {
			return nil, false, err
		}
	}
	newest := contact.Newest()
	newest.AccountID, newest.CustomerID, newest.AdvisorID, newest.ConfirmedAt = tx.Account, key, c.Advisor.Key, tx.Now
	tx.Emit(models.Event{
		Stream: c.Advisor.Key, Kind: models.EventConversationChanged, Customer: key,
		Primed: &models.Primed{Customer: customer, Conversation: conv},
	})
	return conv, true, tx.InsertOutreach(&newest)
}

// catchUp counts into the ledger of a locked conversation the mass sends to all followers that it
// lacks, and reads the account for what is decided next.
func catchUp(tx *store.Tx, customer *models.Customer, conv *models.Conversation) (*models.Account, error) {
	account, err := tx.Reader.Account(tx.Account)
	if err != nil || account.MassHead <= conv.Contact.MassSeen {
		return account, err
	}
	all, err := massSends(&tx.Reader, account, tx.Now)
	conv.Contact = conv.Contact.CaughtUp(all, customer)
	return account, err
}

// massSends reads what ledgers of the account may have to catch up with.
func massSends(r *store.Reader, account *models.Account, now models.Time) (models.MassSends, error) {
	all := models.MassSends{Head: account.MassHead}
	var err error
	if all.Sends, err = r.MassSendsToAll(account.Key, now.Add(-limits.MassSendLook)); err != nil {
		return models.MassSends{}, err
	}
	if n := len(all.Sends); n > 0 {
		all.Head = max(all.Head, all.Sends[n-1].No)
	}
	return all, nil
}
