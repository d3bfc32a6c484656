package store_test

import (
	"strings"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure what a message asks of an advisor neither waits for the advisor's row nor locks it, and
// is right about presence, state and open apps.
func TestLockListeners(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 5, func(i int, a *models.Advisor) {
			switch i {
			case 1:
				a.Presence = models.PresenceOffline
			case 2:
				a.Stored = models.AdvisorRemoved
			}
		})
		keys := make([]models.Key, len(advisors))
		for i, a := range advisors {
			keys[i] = a.Key
		}
		lease := func(i int, until models.Time) *models.AppLease {
			return &models.AppLease{AccountID: account.Key, AdvisorID: keys[i], NodeID: models.NewKey(), ExpiresAt: until}
		}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			return tx.WriteApps([]*models.AppLease{lease(1, tx.Now+1), lease(3, tx.Now+1), lease(4, tx.Now)})
		})
		unknown := models.NewKey()
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			got, err := tx.LockListeners(append(keys, unknown))
			if err != nil {
				return err
			}
			want := map[models.Key]models.Listener{
				keys[0]: {Online: true}, keys[1]: {AppOpen: true}, keys[2]: {}, keys[3]: {Online: true, AppOpen: true}, keys[4]: {Online: true},
			}
			for i, k := range keys {
				if l, ok := got[k]; !ok || l != want[k] {
					t.Errorf("advisor %d: %+v %v, want %+v", i, l, ok, want[k])
				}
			}
			if _, ok := got[unknown]; ok {
				t.Error("an advisor that is not there listens")
			}
			return nil
		})
	})
}

// Ensure the row of an advisor that somebody holds does not hold up a message for them.
func TestLockListenersDoesNotWaitForAdvisors(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	keys := []models.Key{testkit.Advisors(t, s, account, 1)[0].Key}
	testkit.Write(t, s, account.Key, func(held *store.Tx) error {
		if _, err := held.LockAdvisors(keys); err != nil {
			return err
		}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error { // it would end with a lock timeout
			got, err := tx.LockListeners(keys)
			if err == nil && !got[keys[0]].Online {
				t.Error("the advisor does not listen")
			}
			emit(tx, keys[0])
			return err
		})
		return nil
	})
}

// Ensure events go to the streams that were locked and to no other, and that locks are not taken
// behind them.
func TestLockListenersIsTheLastLock(t *testing.T) {
	s := testkit.Store(t, testkit.SQLite(t), nil)
	account := testkit.Account(t, s)
	advisors := testkit.Advisors(t, s, account, 2)
	err := s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
		_, err := tx.LockListeners([]models.Key{advisors[0].Key})
		emit(tx, advisors[1].Key)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "no stream") {
		t.Errorf("an event for a stream that was not locked: %v", err)
	}
	defer func() {
		if text, ok := recover().(string); !ok || !strings.Contains(text, "went back") {
			t.Errorf("recovered %q", text)
		}
	}()
	_ = s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockListeners([]models.Key{advisors[0].Key}); err != nil {
			return err
		}
		_, err := tx.LockAdvisors([]models.Key{advisors[0].Key})
		return err
	})
	t.Error("it went on")
}
