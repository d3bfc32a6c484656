package services

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure a visit of an account's open watches costs the account, its revocations and one statement
// for all advisors, and ends those who may not listen any more.
func TestStatementsOfVisits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const advisors = 60
		h := newTeahouse(t, dsn, advisors, 1)
		ended := map[int]error{}
		listen := func(from, to int) {
			for i := from; i < to; i++ {
				w := &Watch{
					s: h.Services, what: WatchNotifications, account: h.account.Key, advisor: h.advisors[i].Key,
					viewer: &auth.Viewer{Role: auth.RoleAdvisor, Account: h.account.Key.String(), Subject: fmt.Sprint("ext:", i), TokenID: fmt.Sprint("t", i), Expires: time.Now().Add(time.Hour)},
				}
				w.OnEnd(func(err error) { ended[i] = err })
			}
		}
		visit := func() int64 {
			var n atomic.Int64
			h.visit(store.CountStatements(t.Context(), &n))
			return n.Load()
		}
		listen(0, 1)
		one := visit()
		listen(1, advisors)
		if all := visit(); one != all || all > 3 {
			t.Errorf("%d statements for 1 watch, %d for %d", one, all, advisors)
		}
		if len(ended) > 0 {
			t.Fatalf("ended %v", ended)
		}
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			rows, err := tx.LockAdvisors([]models.Key{h.advisors[5].Key})
			if err != nil {
				return err
			}
			rows[0].Stored = models.AdvisorRemoved
			if err := tx.UpdateAdvisors(rows, "state"); err != nil {
				return err
			}
			return tx.WriteRevocation(&models.Revocation{AccountID: h.account.Key, Kind: models.RevokedToken, Name: "t3", ExpiresAt: h.Now() + 1})
		})
		visit()
		if len(ended) != 2 || ended[3] != errRevoked || ended[5] != errMayNotNow { //nolint:errorlint // these very errors.
			t.Errorf("ended %v", ended)
		}
	})
}
