package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
)

// Ensure a unionid that many share finds the earliest of them, and costs as much as one that is somebody's alone, whatever the merchant's files gave it to.
func TestCustomersByUnionIDThatManyShare(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		const n, own = 5_000, 3
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, unionid, follow_state, created_at)
			SELECT ?, %s, %s, CASE WHEN n = %d THEN ? ELSE ? END, 'FOLLOWING', 1 FROM (%s) numbers`, keyOfNumber(s), openidOfNumber(s), own, numbersBelow(n)), account.Key, []byte("own"), []byte("shared"))
		mustExec(t, s, fmt.Sprintf("INSERT INTO conversation (account_id, customer_id) SELECT ?, %s FROM (%s) numbers", keyOfNumber(s), numbersBelow(n)), account.Key)
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE customer")
		}
		look := func(ctx context.Context) {
			rows, err := s.View(ctx).CustomersByUnionID(account.Key, []models.Ident{"shared", "own", "nobody's"})
			var got []int
			for _, c := range rows {
				got = append(got, numberOf(t, c.Key))
			}
			if slices.Sort(got); err != nil || !slices.Equal(got, []int{0, own}) {
				t.Errorf("customers %v, %v", got, err)
			}
		}
		look(t.Context())
		if s.IsEmbedded() {
			return
		}
		if read, err := s.RowsRead(t.Context(), look); err != nil || read > 200 {
			t.Errorf("it reads %d rows, %v", read, err)
		}
	})
}
