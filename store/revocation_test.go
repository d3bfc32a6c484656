package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure writers of one account who wait for each other do not keep others from being let in.
func TestRevocationsDoNotWaitForWriters(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const connections = 2
		s := testkit.Open(t, store.Options{DSN: dsn, Connections: connections, Relaxed: true})
		account := testkit.Account(t, s)
		held, release := make(chan struct{}), make(chan struct{})
		var writers sync.WaitGroup
		defer writers.Wait()
		defer close(release)
		n := connections
		if s.IsEmbedded() {
			n = 1
		}
		for range n {
			writers.Go(func() {
				err := s.Write(context.WithoutCancel(t.Context()), store.System(), account.Key, func(*store.Tx) error {
					held <- struct{}{}
					<-release
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		for range n {
			testkit.Receive(t, held)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := s.Revocations(ctx, models.NewKey(), s.Now()); err != nil {
			t.Errorf("what is revoked could not be asked: %v", err)
		}
	})
}
