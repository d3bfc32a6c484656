package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure the pages of each filter of scans and of codes hold exactly what the filter means, latest first and
// each once, and that none reads more than its index and limits.PageScan make it (rules C2, C3).
func TestPagesOfScansAndCodes(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account, other := testkit.Account(t, s), testkit.Account(t, s)
		const n = limits.PageScan + 3_007
		wei, spring, owner := models.NewKey(), models.NewKey(), models.NewKey()
		for _, a := range []*models.Account{account, other} {
			mustExec(t, s, fmt.Sprintf(`INSERT INTO scan (account_id, id, customer_id, code_id, scene, label, outcome, at)
				SELECT ?, %s, CASE WHEN n %% 1000 = 0 THEN ? ELSE %s END, CASE WHEN n %% 2 = 0 THEN ? END, %s, CASE WHEN n %% 500 = 0 THEN 'spring' WHEN n %% 2 = 1 THEN 'common' ELSE '' END,
				CASE WHEN n %% 7 = 0 THEN 'SELF' ELSE 'BOUND' END, n FROM (%s) numbers`, keyOfNumber(s), keyOfNumber(s), openidOfNumber(s), numbersBelow(n)), a.Key, wei, spring)
			mustExec(t, s, fmt.Sprintf(`INSERT INTO qr_code (account_id, id, scene, kind, owner_id, own, label, expires_at)
				SELECT ?, %s, %s, 'ADVISOR', CASE WHEN n %% 1000 = 0 THEN ? ELSE %s END, NULL, CASE WHEN n %% 500 = 0 THEN 'spring' ELSE 'common' END, CASE WHEN n %% 2 = 0 THEN n + 1 ELSE 0 END
				FROM (%s) numbers`, keyOfNumber(s), openidOfNumber(s), keyOfNumber(s), numbersBelow(n)), a.Key, owner)
		}
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE scan, qr_code")
		}
		const first = 50
		const page, look = 3*first + 50, 2*limits.PageScan + 200
		for name, tt := range map[string]struct {
			is   func(n int) bool
			most int64
			read func(r *store.Reader, p relay.Page) ([]models.Key, *relay.Keyset, error)
		}{
			"all scans":                {func(int) bool { return true }, page, scansOf(account.Key, store.ScanFilter{})},
			"of a customer":            {func(n int) bool { return n%1000 == 0 }, page, scansOf(account.Key, store.ScanFilter{Customer: wei})},
			"of a code":                {func(n int) bool { return n%2 == 0 }, page, scansOf(account.Key, store.ScanFilter{Code: spring})},
			"of a label":               {func(n int) bool { return n%500 == 0 }, page, scansOf(account.Key, store.ScanFilter{Label: "spring"})},
			"of an outcome":            {func(n int) bool { return n%7 == 0 }, look, scansOf(account.Key, store.ScanFilter{Outcome: models.ScanSelf})},
			"of no outcome":            {func(int) bool { return false }, look, scansOf(account.Key, store.ScanFilter{Outcome: models.ScanGroupInvalid})},
			"of a label and outcome":   {func(n int) bool { return n%3500 == 0 }, look, scansOf(account.Key, store.ScanFilter{Label: "spring", Outcome: models.ScanSelf})},
			"of a customer and more":   {func(n int) bool { return n%1000 == 0 }, look, scansOf(account.Key, store.ScanFilter{Customer: wei, Code: spring, Label: "spring"})},
			"of a code and label":      {func(n int) bool { return n%500 == 0 }, look, scansOf(account.Key, store.ScanFilter{Code: spring, Label: "spring"})},
			"all codes":                {func(int) bool { return true }, page, codesOf(account.Key, store.QRCodeFilter{})},
			"codes of an owner":        {func(n int) bool { return n%1000 == 0 }, page, codesOf(account.Key, store.QRCodeFilter{Owner: owner})},
			"codes of a label":         {func(n int) bool { return n%500 == 0 }, page, codesOf(account.Key, store.QRCodeFilter{Label: "spring"})},
			"codes of nobody's label":  {func(int) bool { return false }, page, codesOf(account.Key, store.QRCodeFilter{Label: "x"})},
			"codes of owner and label": {func(n int) bool { return n%1000 == 0 }, page, codesOf(account.Key, store.QRCodeFilter{Owner: owner, Label: "spring"})},
		} {
			var want, got []int
			for i := n - 1; i >= 0; i-- {
				if tt.is(i) {
					want = append(want, i)
				}
			}
			p := relay.Page{First: 5_000}
			for more := true; more; {
				rows, end, err := tt.read(s.View(t.Context()), p)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if more = len(rows) > p.First; more {
					rows = rows[:p.First]
				}
				for _, key := range rows {
					got = append(got, numberOf(t, key))
					p.After = &relay.Keyset{Key: key}
				}
				if end != nil {
					more, p.After = true, end
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d, want %d; %v …", name, len(got), len(want), got[:min(10, len(got))])
			}
			if s.IsEmbedded() {
				continue
			}
			read, err := s.RowsRead(t.Context(), func(ctx context.Context) {
				if _, _, err := tt.read(s.View(ctx), relay.Page{First: first}); err != nil {
					t.Error(err)
				}
			})
			if err != nil || read > tt.most {
				t.Errorf("%s: a page reads %d rows, at most %d, %v", name, read, tt.most, err)
			}
		}
		old, err := s.View(t.Context()).OldQRCodes(101, limits.RetentionRows)
		if err != nil || len(old) != 2*50 {
			t.Errorf("%d codes have expired, %v", len(old), err)
		}
	})
}

func scansOf(account models.Key, f store.ScanFilter) func(*store.Reader, relay.Page) ([]models.Key, *relay.Keyset, error) {
	return func(r *store.Reader, p relay.Page) (keys []models.Key, end *relay.Keyset, err error) {
		rows, end, err := r.ScanPage(account, f, p)
		for _, row := range rows {
			keys = append(keys, row.Key)
		}
		return keys, end, err
	}
}

func codesOf(account models.Key, f store.QRCodeFilter) func(*store.Reader, relay.Page) ([]models.Key, *relay.Keyset, error) {
	return func(r *store.Reader, p relay.Page) (keys []models.Key, end *relay.Keyset, err error) {
		rows, err := r.QRCodePage(account, f, p)
		for _, row := range rows {
			keys = append(keys, row.Key)
		}
		return keys, nil, err
	}
}
