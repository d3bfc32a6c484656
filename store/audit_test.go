package store_test

import (
	"context"
	"strings"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure each filter of the audit log has an index in the order of the page: the newest entries are
// found without looking at the others.
func TestAuditFiltersReadLittle(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	for range 30 {
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			changes := make([]store.Change, 100)
			for i := range changes {
				changes[i] = store.Change{Action: "a" + strings.Repeat("x", i%20), TargetKind: "Customer", Target: models.NewKey()}
			}
			return tx.Audit(changes...)
		})
	}
	for name, f := range map[string]store.AuditFilter{
		"all":        {},
		"by role":    {Role: "ADMIN"},
		"by subject": {Subject: "someone"},
		"by action":  {Action: "axxx"},
		"by target":  {Target: models.NewKey(), TargetKind: "Customer"},
		"since":      {From: s.Now() - 1},
		"before":     {Until: 1},
	} {
		n, err := s.RowsRead(t.Context(), func(ctx context.Context) {
			if _, err := s.View(ctx).AuditPage(account.Key, f, relay.Page{First: 50}); err != nil {
				t.Error(err)
			}
		})
		if err != nil || n > 300 {
			t.Errorf("%s: %d rows were read of 3000, %v", name, n, err)
		}
	}
}
