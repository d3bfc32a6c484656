package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// BenchmarkDeliveries is how fast one node empties the queues of four accounts, a message each,
// when the platform answers after 100 ms: by the number of workers.
func BenchmarkDeliveries(b *testing.B) {
	const accounts, each = 4, 250
	for _, workers := range []int{8, 16, 32, 64, 128} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				clock := testkit.NewClock()
				n := newNode(b, testkit.Store(b, testkit.MySQL(b), clock), sending(func(ctx context.Context, _ *models.Account, _ models.Ident, _ *models.Message) error {
					select {
					case <-time.After(100 * time.Millisecond):
					case <-ctx.Done():
					}
					return nil
				}))
				shops := make([]*shop, accounts)
				for i := range shops {
					shops[i] = newShop(b, n.store, each)
					fill(b, shops[i])
				}
				b.StartTimer()
				stop := n.run(b, workers)
				await(b, "all left", func() bool { return shops[0].count("SELECT COUNT(*) FROM delivery") == 0 })
				b.StopTimer()
				stop()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*accounts*each)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// fill puts a message into each queue, at once.
func fill(b *testing.B, sh *shop) {
	b.Helper()
	testkit.Write(b, sh.store, sh.account.Key, func(tx *store.Tx) error {
		var messages []*models.Message
		var rows []*models.Delivery
		for _, c := range sh.customers {
			m := &models.Message{
				AccountID: tx.Account, Key: models.NewKey(), CustomerID: c, AdvisorID: sh.advisor.Key, Direction: models.FromAdvisor,
				Kind: models.ContentText, Text: "hello", Status: models.StatusQueued, At: tx.Now, StatusAt: tx.Now, CreatedAt: tx.Now,
			}
			messages = append(messages, m)
			rows = append(rows, &models.Delivery{AccountID: tx.Account, CustomerID: c, MessageID: m.Key, State: models.DeliveryWaiting, CreatedAt: tx.Now})
		}
		if err := tx.Enqueue(rows...); err != nil {
			return err
		}
		return tx.InsertMessages(messages)
	})
}
