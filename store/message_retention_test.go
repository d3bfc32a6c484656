package store_test

import (
	"context"
	"fmt"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// mustWriteMessages writes n messages of the account's customer, with keys that ascend.
func mustWriteMessages(tb testing.TB, s *store.Store, account, customer models.Key, n int) (keys []models.Key) {
	tb.Helper()
	rows := make([]*models.Message, n)
	for i := range rows {
		rows[i] = &models.Message{
			AccountID: account, Key: models.NewKey(), CustomerID: customer, Direction: models.FromCustomer, Kind: models.ContentText,
			Text: "hello", Status: models.StatusReceived, CreatedAt: s.Now(), DedupKey: models.Ident(models.NewKey().String()),
		}
		keys = append(keys, rows[i].Key)
	}
	testkit.Write(tb, s, account, func(tx *store.Tx) error { return tx.InsertMessages(rows) })
	return keys
}

// Ensure messages are deleted by their keys: of the account alone, not what has yet to be sent, and one key as well as
// many.
func TestDeleteMessages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account, other := testkit.Account(t, s), testkit.Account(t, s)
		customer := models.NewKey()
		keys := mustWriteMessages(t, s, account.Key, customer, 10)
		foreign := mustWriteMessages(t, s, other.Key, customer, 2)
		mustExec(t, s, "UPDATE message SET status = 'QUEUED' WHERE id = ?", keys[3][:])
		for _, tt := range []struct {
			keys []models.Key
			want int
		}{{nil, 0}, {keys[:1], 1}, {keys[:1], 0}, {keys[2:5], 2}, {foreign, 0}, {keys[3:4], 0}} {
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				if n, err := tx.DeleteMessages(tt.keys); err != nil || n != tt.want {
					t.Errorf("%d keys: %d went, want %d, %v", len(tt.keys), n, tt.want, err)
				}
				return nil
			})
		}
		left, err := s.View(t.Context()).AgedMessages(account.Key, keys[1], 3)
		if err != nil || len(left) != 3 || left[0].Key != keys[3] || left[0].Status != models.StatusQueued || left[1].Key != keys[5] || left[0].IsLast {
			t.Errorf("left behind the second: %+v, %v", left, err)
		}
		if all, err := s.View(t.Context()).AgedMessages(other.Key, models.Key{}, 10); err != nil || len(all) != 2 {
			t.Errorf("the other account has %+v, %v", all, err)
		}
	})
}

// Ensure nobody who writes messages waits for a transaction that deletes old ones, whether they are newer, or past ones
// in the same range, or of the same conversation; nor that one for who writes.
func TestMessageDeletionAndWritersDoNotWait(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil) // SQLite has one writer at a time.
	account := testkit.Account(t, s)
	customer := models.NewKey()
	old := mustWriteMessages(t, s, account.Key, customer, limits.RetentionRows)
	quick, cancel := context.WithTimeout(t.Context(), limits.LockWait/2)
	defer cancel()
	write := func(what string, key models.Key) {
		t.Helper()
		err := s.Write(quick, store.System(), account.Key, func(tx *store.Tx) error {
			return tx.InsertMessages([]*models.Message{{AccountID: account.Key, Key: key, CustomerID: customer, Text: "new", DedupKey: models.Ident(what), CreatedAt: s.Now()}})
		})
		if err != nil {
			t.Errorf("%s waited for the deletion: %v", what, err)
		}
	}
	testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
		if n, err := tx.DeleteMessages(old); err != nil || n != len(old) {
			t.Errorf("%d went, %v", n, err)
		}
		write("a newer one", models.NewKey())
		between := old[len(old)/2]
		between[15] ^= 1
		write("one in the range", between)
		before := old[0]
		before[15] ^= 1
		write("one at its beginning", before)
		return nil
	})
	// And the other way round.
	old = mustWriteMessages(t, s, account.Key, customer, 10)
	testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
		if err := tx.InsertMessages([]*models.Message{{AccountID: account.Key, Key: models.NewKey(), CustomerID: customer, Text: "new", DedupKey: "open", CreatedAt: s.Now()}}); err != nil {
			return err
		}
		return s.Write(quick, store.System(), account.Key, func(tx *store.Tx) error {
			_, err := tx.DeleteMessages(old)
			return err
		})
	})
}

// Ensure old messages are found along the primary key and deleted by it, whatever the size of the table.
func TestMessageRetentionUsesIndexes(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	keys := mustWriteMessages(t, s, account.Key, models.NewKey(), 500)
	for range 9 {
		mustWriteMessages(t, s, account.Key, models.NewKey(), 500)
	}
	mustExec(t, s, "ANALYZE TABLE message")
	id := func(k models.Key) string { return fmt.Sprintf("X'%s'", k) }
	if plan := mustExplain(t, s, "DELETE message FROM message FORCE INDEX (PRIMARY) WHERE account_id = "+id(account.Key)+" AND id IN ("+id(keys[0])+","+id(keys[1])+","+id(keys[2])+") AND status <> 'QUEUED'"); plan.key != "PRIMARY" || plan.rows > 10 {
		t.Errorf("the deletion uses %q for %d rows", plan.key, plan.rows)
	}
	// What a plan says of LIMIT is no promise: count what the engine reads.
	for after, most := range map[models.Key]int{{}: 10, keys[400]: 20} {
		var page []store.AgedMessage
		var err error
		n, read := s.RowsRead(t.Context(), func(ctx context.Context) { page, err = s.View(ctx).AgedMessages(account.Key, after, most) })
		if err != nil || len(page) != most || after.IsZero() && page[0].Key != keys[0] || !after.IsZero() && page[0].Key != keys[401] {
			t.Fatalf("%d messages, %v", len(page), err)
		}
		if read != nil || n > int64(10*most)+100 {
			t.Errorf("a page of %d took %d reads, %v", most, n, read)
		}
	}
}
