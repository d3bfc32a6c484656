package services_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"clientele/auth"
	"clientele/events"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// cut is a context that ends after so many statements of the store, which asks it for its counter
// with each.
type cut struct {
	context.Context
	mu     sync.Mutex
	left   int
	cancel context.CancelFunc
}

func cutAfter(ctx context.Context, statements int) *cut {
	ctx, cancel := context.WithCancel(ctx)
	return &cut{Context: ctx, left: statements, cancel: cancel}
}

func (c *cut) Value(key any) any {
	if fmt.Sprintf("%T", key) == "store.statementsKey" {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.left--; c.left == 0 {
			c.cancel()
		}
	}
	return c.Context.Value(key)
}

// Ensure a mass send to a list that is broken off, after whatever statement, is finished by the same
// call, and counts everybody once (rule G3).
func TestABrokenOffMassSendIsFinishedByTheSameCall(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		db := testkit.Store(t, dsn, clock)
		s := services.New(services.Deps{Store: db, Hub: events.New(db.Log(), events.Options{Now: clock.Now})})
		account := testkit.Account(t, db)
		ctx := services.WithViewer(context.Background(), &auth.Viewer{Role: auth.RoleAdmin, Account: account.Key.String(), Subject: "x"}, "test")
		const known = limits.MassSendChunk + 50
		keys := testkit.Customers(t, db, account.Key, known)
		in := services.MassSend{At: clock.Time()}
		for i := range known {
			in.OpenIDs = append(in.OpenIDs, models.Ident(fmt.Sprintf("customer-%d", i)), models.Ident(fmt.Sprintf("nobody-%d", i)))
		}
		recorded, brokenOff, partly := 0, 0, 0
		for statements := 1; ; statements++ {
			in.Key = models.Ident(fmt.Sprintf("m%d", statements))
			recorded++
			c := cutAfter(ctx, statements)
			m, _, err := s.RecordMassSend(services.WithViewer(c, &auth.Viewer{Role: auth.RoleAdmin, Account: account.Key.String(), Subject: "x"}, "test"), in)
			c.cancel()
			if err == nil {
				if m.Done != m.Total {
					t.Fatalf("a call that succeeded left %+v", m)
				}
				break // it needs no more statements than that
			}
			brokenOff++
			m, repeated, err := s.RecordMassSend(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			if repeated {
				partly++
			}
			if m.Total != 2*known || m.Done != m.Total || m.Counted != known || *m.UnknownOpenIDs() != known || *m.CountedCustomers() != known {
				t.Fatalf("broken off after %d statements and finished: %+v", statements, m)
			}
		}
		if brokenOff < 10 || partly < 5 {
			t.Errorf("%d calls were broken off, %d of them after the first commit: this test cuts in the wrong place", brokenOff, partly)
		}
		conversations, err := db.View(t.Context()).Conversations(account.Key, keys)
		if err != nil || len(conversations) != known {
			t.Fatalf("%d conversations, %v", len(conversations), err)
		}
		for _, conv := range conversations {
			if conv.OutreachUsed != recorded {
				t.Fatalf("%d are counted of %d mass sends", conv.OutreachUsed, recorded)
			}
		}
	})
}
