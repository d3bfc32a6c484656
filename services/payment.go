package services

import (
	"context"
	"errors"
	"fmt"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Payment is a customer's payment as the merchant reports it.
type Payment struct {
	Customer CustomerRef
	// TransactionID names the payment in the account: 1 to limits.TransactionIDBytes.
	TransactionID models.Ident
	// At is when it was made, not before limits.PaymentAge ago and not in the future; up to
	// limits.ClockSkew ahead counts as now.
	At models.Time
}

// PaymentResult is what came of one payment.
type PaymentResult struct {
	// Customer is who paid, after the change; nil when it failed.
	Customer *models.Customer
	// Repeated: the payment was recorded before, nothing changed.
	Repeated bool
	Err      error
}

// paymentKey is the key of a payment's record among the inbound ones: it is an action of the
// customer, recorded and told apart like every other.
func paymentKey(id models.Ident) string { return "pay:" + string(id) }

// RecordPayments records up to limits.PaymentBatch payments, with a result per item in order: each
// opens the customer's reply window (rule G2) and counts as what every action counts as: a last
// interaction, and a sign that they follow unless they left since. The same transaction with the
// same customer and time changes nothing; with others it is IDEMPOTENCY_CONFLICT. Errors of items:
// INVALID, NOT_FOUND, IDEMPOTENCY_CONFLICT. Items succeed or fail alone, but are committed
// together; after UNAVAILABLE the same call tells what happened.
func (s *Services) RecordPayments(ctx context.Context, in []Payment) ([]PaymentResult, error) {
	c, err := s.begin(ctx, mayRecordPayment)
	if err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, models.Invalid("input.payments", "is empty")
	}
	if len(in) > limits.PaymentBatch {
		return nil, models.TooMany("input.payments", limits.PaymentBatch, "at most %d in a call", limits.PaymentBatch)
	}
	refs := make([]CustomerRef, len(in))
	for i, p := range in {
		refs[i] = p.Customer
	}
	found, err := s.customerRefs(s.store.View(ctx), c, refs)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	results := make([]PaymentResult, len(in))
	var items []*inboundItem
	var places []int // of items in the call
	for i, p := range in {
		field := fmt.Sprintf("input.payments.%d", i)
		if results[i].Err = p.check(field, now); results[i].Err != nil {
			continue
		}
		if found[i] == nil {
			results[i].Err = models.NotFound("customer", field+".customer")
			continue
		}
		places = append(places, i)
		items = append(items, &inboundItem{account: c.Account.Key, in: models.Inbound{
			Kind: models.InboundPayment, OpenID: string(found[i].OpenID), DedupKey: paymentKey(p.TransactionID), At: p.At, Name: "recordPayment",
		}})
	}
	batch, err := s.writePayments(ctx, c, items)
	if err != nil {
		return nil, err
	}
	for j, i := range places {
		got := batch.results[j]
		if got.record.CustomerID != found[i].Key || got.record.At != in[i].At {
			results[i].Err = &models.Error{
				Code: models.CodeIdempotencyConflict, Field: fmt.Sprintf("input.payments.%d.transactionId", i),
				Message: "the transaction was recorded for another customer or time",
			}
			continue
		}
		results[i].Customer, results[i].Repeated = got.Customer, got.Repeated
	}
	return results, nil
}

func (p Payment) check(field string, now models.Time) error {
	if err := models.CheckIdent(string(p.TransactionID), field+".transactionId", limits.TransactionIDBytes); err != nil {
		return err
	}
	switch {
	case p.At > now.Add(limits.ClockSkew):
		return models.Invalid(field+".at", "is in the future")
	case p.At < now.Add(-limits.PaymentAge):
		return models.Invalid(field+".at", "is more than %d days ago", int(limits.PaymentAge.Hours()/24))
	}
	return nil
}

// writePayments writes them as the actions they are, with the call's audit entry. A transaction
// that another call recorded for another customer at the same instant is found by running again.
func (s *Services) writePayments(ctx context.Context, c *Scope, items []*inboundItem) (b *inboundBatch, err error) {
	if len(items) == 0 {
		return nil, nil //nolint:nilnil // nothing to write is no fault.
	}
	for range limits.WriteAttempts { // a bound; the second finds it
		err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
			b = &inboundBatch{s: s, tx: tx, lookUp: true}
			if err := b.write(items); err != nil {
				return err
			}
			return tx.Audit(b.paymentChanges()...)
		})
		if !errors.Is(err, store.ErrDuplicate) {
			break
		}
	}
	return b, err
}

// paymentChanges is the audit of a call that recorded payments.
func (b *inboundBatch) paymentChanges() []store.Change {
	var changes []store.Change
	for _, r := range b.results {
		if !r.Repeated {
			changes = append(changes, store.Change{
				Action: "recordPayment", TargetKind: "Customer", Target: r.record.CustomerID,
				After: map[string]any{"payment": r.record.DedupKey, "at": r.record.At},
			})
		}
	}
	if len(changes) == 0 {
		changes = []store.Change{{Action: "recordPayment", TargetKind: "Account", Target: b.tx.Account, After: "nothing"}}
	}
	return changes
}
