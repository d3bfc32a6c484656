package services

import (
	"context"
	"fmt"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// EventsWaiting tells the relay that events of accounts wait for their numbers: at most one signal
// waits.
func (s *Services) EventsWaiting() <-chan struct{} { return s.waiting }

func (s *Services) wakeRelay() {
	select {
	case s.waiting <- struct{}{}:
	default:
	}
}

// RelayEvents gives numbers to the events of accounts that wait (ADR 0026), up to limits.RelayRows of
// each account, and reports whether some account may have more. Several nodes may do it: they take turns
// at an account's counter. What fails for one account is told at the end and does not keep others waiting.
func (s *Services) RelayEvents(ctx context.Context) (more bool, err error) {
	var after models.Key
	for {
		accounts, readErr := s.store.View(ctx).AccountsWaiting(after, limits.BatchRows)
		if readErr != nil {
			return false, readErr
		}
		for _, after = range accounts {
			n := 0
			relayErr := s.store.Write(ctx, store.System(), after, func(tx *store.Tx) error {
				var err error
				n, err = tx.Relay(limits.RelayRows)
				return err
			})
			if n > 0 {
				s.wakeWebhooks()
			}
			if relayErr != nil {
				err = fmt.Errorf("account %s: %w", after, relayErr)
			}
			more = more || n == limits.RelayRows
		}
		if len(accounts) < limits.BatchRows {
			return more, err
		}
	}
}
