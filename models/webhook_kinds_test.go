package models_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"clientele/models"
)

// Ensure a webhook wants of each kind what got its number since the kind is asked for without a break, whatever was asked for before, wherever it has come, and after
// a journey through its column; and that its row remembers nothing once it has come so far (rule N7).
func TestWebhookWantsSince(t *testing.T) {
	all := []models.AccountEventKind{models.AccountBindingChanged, models.AccountCodeScanned, models.AccountCustomerChanged, models.AccountCustomersImported}
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := &models.Webhook{}
		since := map[models.AccountEventKind]int64{} // -1: it is not asked for
		head := int64(0)
		for range 30 {
			switch head += random.Int64N(3); random.IntN(3) {
			case 0:
				w.Position += random.Int64N(head - w.Position + 1)
			case 1:
				kinds := slices.DeleteFunc(slices.Clone(all), func(models.AccountEventKind) bool { return random.IntN(2) == 0 })
				w.Ask(kinds, head)
				for _, k := range all {
					switch asks := len(kinds) == 0 || slices.Contains(kinds, k); {
					case !asks:
						since[k] = -1
					case since[k] < 0:
						since[k] = head
					}
				}
			default:
				text, err := w.KindsAfter.Value()
				if err == nil {
					err = w.KindsAfter.Scan([]byte(text.(string)))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, k := range all {
				for seq := w.Position + 1; seq <= head+1; seq++ {
					if want := since[k] >= 0 && seq > since[k]; w.Wants(models.EventKind(k), seq) != want {
						t.Fatalf("seed %d: %s %d is wanted: %t; asked for since %d, at %d, %v after %v", seed, k, seq, !want, since[k], w.Position, w.Kinds, w.KindsAfter)
					}
				}
			}
		}
		w.Position = head
		if w.Ask(slices.Clone(all[:1]), head); w.KindsAfter != nil {
			t.Fatalf("seed %d: at the head it remembers %v", seed, w.KindsAfter)
		}
	}
}
