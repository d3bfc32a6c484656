package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure looking for webhooks that are due reads those and hardly more, however many have nothing to do or wait for a pause, by the statements
// that the store really runs: along an index, unsorted, as the engines' own plans and the rows that MySQL or MariaDB read say.
func TestDueWebhooksReadLittle(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		const all, waiting, due = 20_000, 5_000, 20
		// Of those that are due some fail; others wait for a pause; the rest is idle, though the stream has events behind them.
		mustExec(t, s, "INSERT INTO stream (account_id, id, head) VALUES (?, ?, 7)", account.Key, account.Key)
		mustExec(t, s, fmt.Sprintf(`INSERT INTO webhook (account_id, id, state, epoch, due_at, trying)
			SELECT ?, %s, 'ACTIVE', ?, CASE WHEN n < %d THEN n + 1 WHEN n < %d THEN 1000000 + n ELSE %d END, CASE WHEN n < %d AND n %% 4 = 0 THEN 1 ELSE 0 END FROM (%s) numbers`,
			keyOfNumber(s), due, waiting, models.WebhookNever, waiting, numbersBelow(all)), account.Key, make([]byte, 8))
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE webhook, stream")
		}
		for _, trying := range []bool{false, true} {
			look := func(r *store.Reader) {
				t.Helper()
				got, err := r.DueWebhooks(1_000, trying, nil, limits.WebhookWorkers*limits.WebhooksPerAccount)
				want := due / 4
				if !trying {
					want = due - due/4
				}
				if err != nil || len(got) != want || !slices.IsSortedFunc(got, func(a, b *models.Webhook) int { return int(a.DueAt - b.DueAt) }) {
					t.Errorf("trying %t: %d are due, %v", trying, len(got), err)
				}
			}
			var ran []store.Statement
			look(s.Watched(t.Context(), &ran))
			for _, statement := range ran {
				if plan := mustPlan(t, s, statement); !slices.Equal(plan.reads, []string{"webhook webhook_due"}) || plan.isSorted {
					t.Errorf("trying %t: %+v", trying, plan)
				}
			}
			if s.IsEmbedded() {
				continue
			}
			read, err := s.RowsRead(t.Context(), func(ctx context.Context) { look(s.View(ctx)) })
			if err != nil || read > 150 {
				t.Errorf("trying %t: %d rows are read, %v", trying, read, err)
			}
			t.Logf("trying %t: %d rows are read", trying, read)
		}
	})
}
