package services

import (
	"sync/atomic"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure leases that lapsed together are swept together: a few statements whatever their number, an
// inquiry for each conversation that nobody was told of, and none for whose app came back.
func TestSweepTogether(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const advisors, customers = 40, 80
		h := newTeahouse(t, dsn, advisors, customers)
		dead := models.NewKey()
		lease := func(i int, node models.Key, until models.Time) *models.AppLease {
			return &models.AppLease{AccountID: h.account.Key, AdvisorID: h.advisors[i].Key, NodeID: node, RenewedAt: h.Now(), ExpiresAt: until}
		}
		write := func(from, to int, until models.Time) {
			t.Helper()
			var leases []*models.AppLease
			for i := from; i < to; i++ {
				leases = append(leases, lease(i, dead, until))
			}
			testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error { return tx.WriteApps(leases) })
		}
		write(0, advisors, h.Now()+1)
		h.statements(t, h.texts(customers, "first")) // nobody is told of these: the apps are open
		sweep := func(from, to int) (statements int64) {
			t.Helper()
			write(from, to, h.Now())
			var n atomic.Int64
			done, err := h.SweepApps(store.CountStatements(t.Context(), &n))
			if err != nil || done != to-from {
				t.Fatalf("%d leases swept, %v", done, err)
			}
			return n.Load()
		}
		few := sweep(0, 2)
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			return tx.WriteApps([]*models.AppLease{lease(2, h.store.Node(), h.Now()+1)}) // came back, to another node
		})
		many := sweep(2, advisors)
		if few != many || many > 14 {
			t.Errorf("%d statements for 2 leases, %d for %d", few, many, advisors-2)
		}
		conversations, err := h.store.View(t.Context()).Conversations(h.account.Key, h.keys)
		if err != nil || len(conversations) != customers {
			t.Fatalf("%d conversations, %v", len(conversations), err)
		}
		for _, c := range conversations {
			if back := c.AdvisorID == h.advisors[2].Key; c.InquiryID.IsZero() != back {
				t.Errorf("of an advisor who came back %v: told %v", back, !c.InquiryID.IsZero())
			}
		}
	})
}
