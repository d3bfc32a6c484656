package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure those who meet the same new followers at the same time agree on one row and one
// conversation for each.
func TestEnsureCustomersTogether(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const writers, openids = 20, 30
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		const before = 1_000 // in a table of a few rows MariaDB reads them all, and waits for those of others.
		testkit.Customers(t, s, account.Key, before)
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE customer, conversation")
		}
		all := make([]models.Ident, openids)
		for i := range all {
			all[i] = models.Ident(fmt.Sprintf("openid-%d", i))
		}
		var mu sync.Mutex
		agreed := map[models.Ident]models.Key{}
		attempts := atomic.Int64{}
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				mine := slices.Clone(all)
				rand.New(rand.NewPCG(uint64(w), 1)).Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				var known map[models.Ident]models.Key
				err := s.Write(context.WithoutCancel(t.Context()), store.System(), account.Key, func(tx *store.Tx) (err error) {
					attempts.Add(1)
					if known, err = tx.EnsureCustomers(mine); err != nil {
						return err
					}
					keys := make([]models.Key, 0, openids)
					for _, k := range known {
						keys = append(keys, k)
					}
					if rows, _, err := tx.LockCustomers(keys); err != nil || len(rows) != openids {
						return fmt.Errorf("%d rows are locked, %w", len(rows), err)
					}
					rows, err := tx.LockConversations(keys)
					if err == nil && len(rows) != openids {
						err = fmt.Errorf("%d conversations are locked", len(rows))
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for o, k := range known {
					if was, ok := agreed[o]; ok && was != k {
						t.Errorf("%s has the keys %s and %s", o, was, k)
					}
					agreed[o] = k
				}
			})
		}
		group.Wait()
		if len(agreed) != openids || mustCount(t, s, "customer") != before+openids || mustCount(t, s, "conversation") != before+openids {
			t.Errorf("%d keys, %d rows, %d conversations; want %d new", len(agreed), mustCount(t, s, "customer"), mustCount(t, s, "conversation"), openids)
		}
		t.Logf("%d attempts of %d writers", attempts.Load(), writers)
	})
}

// Ensure what is known stays, and one tenant's openid is not another's.
func TestEnsureCustomers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account, other := testkit.Account(t, s), testkit.Account(t, s)
		keys := testkit.Customers(t, s, account.Key, 3)
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			rows, _, err := tx.LockCustomers(keys[:1])
			if err != nil {
				return err
			}
			rows[0].Nickname = "kept"
			return tx.UpdateCustomers(rows, "nickname")
		})
		if again := testkit.Customers(t, s, account.Key, 4); !slices.Equal(again[:3], keys) {
			t.Errorf("keys %v became %v", keys, again)
		}
		if theirs := testkit.Customers(t, s, other.Key, 3); slices.Contains(keys, theirs[0]) {
			t.Error("two tenants share a customer")
		}
		r := s.View(t.Context())
		rows, err := r.Customers(account.Key, keys)
		if err != nil || len(rows) != 3 || rows[0].Nickname != "kept" || rows[0].FollowState != models.Unfollowed {
			t.Errorf("%+v, %v", rows, err)
		}
		if rows, err := r.Customers(other.Key, keys); err != nil || len(rows) != 0 {
			t.Errorf("another tenant reads %d of them, %v", len(rows), err)
		}
		if rows, err := r.Conversations(other.Key, keys); err != nil || len(rows) != 0 {
			t.Errorf("another tenant reads %d conversations, %v", len(rows), err)
		}
		if rows, err := r.CustomersByOpenID(other.Key, []models.Ident{"customer-3"}); err != nil || len(rows) != 0 {
			t.Errorf("another tenant finds %d, %v", len(rows), err)
		}
	})
}

// Ensure new followers cost as many statements as one, up to a batch.
func TestEnsureCustomersStatements(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		count := func(name string, n int) int64 {
			openids := make([]models.Ident, n)
			for i := range openids {
				openids[i] = models.Ident(fmt.Sprintf("%s-%d", name, i))
			}
			var statements atomic.Int64
			err := s.Write(store.CountStatements(t.Context(), &statements), store.System(), account.Key, func(tx *store.Tx) error {
				_, err := tx.EnsureCustomers(openids)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return statements.Load()
		}
		if one, many := count("one", 1), count("many", limits.BatchRows); one != many {
			t.Errorf("1 takes %d statements, %d take %d", one, limits.BatchRows, many)
		}
		if known := count("many", limits.BatchRows); known != 1 {
			t.Errorf("known ones take %d statements", known)
		}
	})
}

// Ensure rows are locked by primary key, whatever the number: through another index two
// transactions would lock the same rows in two orders, and rows nobody asked for.
func TestLocksGoByPrimaryKey(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	keys := testkit.Customers(t, s, account.Key, 1_000)
	mustExec(t, s, "ANALYZE TABLE customer, conversation")
	for _, n := range []int{1, 2, limits.BatchRows, 500} {
		holders := strings.TrimSuffix(strings.Repeat("?,", n), ",")
		args := []any{account.Key}
		for _, k := range keys[:n] {
			args = append(args, k)
		}
		for table, column := range map[string]string{"customer": "id", "conversation": "customer_id"} {
			query := "EXPLAIN FORMAT=JSON SELECT * FROM " + table + " WHERE account_id = ? AND " + column + " IN (" + holders + ") ORDER BY " + column + " FOR UPDATE"
			plan := mustStrings(t, mustSQL(t, s), query, args...)[0]
			if !strings.Contains(plan, `"key": "PRIMARY"`) || strings.Contains(plan, "filesort") {
				t.Errorf("%d rows of %s are locked by %s", n, table, plan)
			}
		}
	}
}
