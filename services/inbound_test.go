package services

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// teahouse is an account with advisors and customers, each bound to one of them in turn.
type teahouse struct {
	*Services
	store    *store.Store
	account  *models.Account
	advisors []*models.Advisor
	keys     []models.Key
}

func newTeahouse(t *testing.T, dsn string, advisors, customers int) *teahouse {
	t.Helper()
	s := testkit.Store(t, dsn, testkit.NewClock())
	h := &teahouse{store: s, account: testkit.Account(t, s)}
	h.Services = New(Deps{Store: s, Hub: events.New(s.Log(), events.Options{}), Log: slog.New(slog.DiscardHandler)})
	h.advisors = testkit.Advisors(t, s, h.account, advisors)
	h.keys = testkit.Customers(t, s, h.account.Key, customers)
	testkit.Write(t, s, h.account.Key, func(tx *store.Tx) error {
		rows, conversations, err := tx.LockCustomers(h.keys)
		if err != nil {
			return err
		}
		for i, c := range rows {
			c.FollowState, c.FollowedAt, c.AdvisorID, c.BoundAt = models.Following, tx.Now, h.advisors[i%advisors].Key, tx.Now
			conversations[i].AdvisorID = c.AdvisorID
		}
		if err := tx.UpdateCustomers(rows, "follow_state", "followed_at", "advisor_id", "bound_at"); err != nil {
			return err
		}
		return tx.UpdateConversations(conversations)
	})
	return h
}

// texts is a batch with a message of each of the first n customers.
func (h *teahouse) texts(n int, id string) []*inboundItem {
	items := make([]*inboundItem, n)
	for i := range items {
		items[i] = &inboundItem{account: h.account.Key, done: make(chan struct{}), in: models.Inbound{
			Kind: models.InboundMessage, OpenID: fmt.Sprintf("customer-%d", i), DedupKey: fmt.Sprintf("%s:%d", id, i), At: h.Now(),
			Content: &models.InboundContent{Kind: models.ContentText, Text: "hello"},
		}}
	}
	return items
}

// statements counts what a batch asks of the database, BEGIN and COMMIT left out.
func (h *teahouse) statements(t *testing.T, items []*inboundItem) int64 {
	t.Helper()
	var n atomic.Int64
	h.processInbound(store.CountStatements(t.Context(), &n), h.account.Key, items)
	for _, it := range items {
		if it.err != nil {
			t.Fatalf("not stored: %v", it.err)
		}
	}
	return n.Load()
}

// Ensure a batch of messages costs the same few statements whatever it holds: the account, the
// customers with their conversations, the repeats, the streams; the conversations and messages; the
// counters and events. Inquiries cost two more, a look for those that are open and a write;
// customers who are not remembered one. (With inquiries a message makes two events, and
// limits.BatchRows of them are one statement.)
func TestStatementsOfInbound(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h := newTeahouse(t, dsn, 5, 100)
		var leases []*models.AppLease
		for _, a := range h.advisors {
			leases = append(leases, &models.AppLease{AccountID: h.account.Key, AdvisorID: a.Key, NodeID: models.NewKey(), ExpiresAt: h.Now() + 1})
		}
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error { return tx.WriteApps(leases) })
		costs := func(what, id string, n int, want int64) {
			t.Helper()
			if got := h.statements(t, h.texts(n, id)); got != want {
				t.Errorf("%s: %d statements for %d messages, want %d", what, got, n, want)
			}
		}
		costs("customers not met before", "met", 100, 9)
		costs("apps are open", "open", 1, 8)
		costs("apps are open", "all", 100, 8)
		for _, l := range leases {
			l.ExpiresAt = h.Now()
		}
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error { return tx.WriteApps(leases) })
		costs("inquiries are made", "first", 50, 9)
		costs("inquiries are open", "one", 1, 10)
		costs("inquiries are open", "many", 50, 10)
	})
}

// Ensure a remembered customer whose row is gone is met anew, with the message kept.
func TestInboundOfAForgottenCustomer(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h := newTeahouse(t, dsn, 1, 2)
		h.statements(t, h.texts(2, "first"))
		db, err := h.store.SQL()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"customer", "conversation"} {
			key := map[string]string{"customer": "id", "conversation": "customer_id"}[table]
			if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table+" WHERE account_id = ? AND "+key+" = ?", h.account.Key[:], h.keys[0][:]); err != nil {
				t.Fatal(err)
			}
		}
		items := h.texts(2, "second")
		h.statements(t, items)
		if got := items[0].result.Customer; got == nil || got.Key == h.keys[0] || got.OpenID != "customer-0" {
			t.Errorf("the message is of %+v", got)
		}
		if got := items[1].result.Customer; got == nil || got.Key != h.keys[1] {
			t.Errorf("the other message is of %+v", got)
		}
		h.statements(t, h.texts(2, "third"))
		if rows, err := h.store.View(context.Background()).Customers(h.account.Key, []models.Key{items[0].result.Customer.Key}); err != nil || len(rows) != 1 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	})
}
