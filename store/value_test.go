package store_test

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure a text comes back as it was written, in whatever script and of the largest size.
func TestTextsRoundTrip(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		customer := testkit.Customers(t, s, account.Key, 1)[0]
		for name, text := range map[string]string{
			"empty":          "",
			"ascii":          "hello",
			"quotes":         `'"\%_` + "`;--\\'",
			"chinese":        "您好，请问有货吗？",
			"emoji":          "👩🏽‍🚀🇨🇳",
			"NUL":            "a\x00b",
			"control":        "a\r\n\t\x1a\x7fb",
			"trailing space": "a  ",
			"combining":      "e\u0301 is not \u00e9",
			"largest":        strings.Repeat("€", limits.InboundTextBytes/3),
			"beyond":         "\U0010FFFF",
		} {
			t.Run(name, func(t *testing.T) {
				m := &models.Message{
					AccountID: account.Key, Key: models.NewKey(), CustomerID: customer, Direction: models.FromCustomer,
					Kind: models.ContentText, Status: models.StatusReceived, Text: text, At: 1, CreatedAt: 1,
					Latitude: -math.Pi, Longitude: 179.99999999,
				}
				testkit.Write(t, s, account.Key, func(tx *store.Tx) error { return tx.InsertMessages([]*models.Message{m}) })
				rows, err := s.View(t.Context()).Messages(account.Key, []models.Key{m.Key})
				if err != nil || len(rows) != 1 {
					t.Fatalf("%d rows, %v", len(rows), err)
				}
				if *rows[0] != *m {
					t.Errorf("wrote %+v\nread  %+v", *m, *rows[0])
				}
			})
		}
	})
}

// Ensure a name's size is counted in characters, on both engines alike.
func TestNamesAreCountedInCharacters(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		insert := func(name string) error {
			return s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
				return tx.InsertGroup(group(account.Key, name))
			})
		}
		if err := insert(strings.Repeat("🍵", limits.GroupNameRunes)); err != nil {
			t.Errorf("as many as may be: %v", err)
		}
		if err := insert(strings.Repeat("🍵", limits.GroupNameRunes+1)); err == nil {
			t.Error("one too many was cut or kept")
		}
	})
}

// Ensure identifiers are compared byte by byte: letters of another case, and spaces at the end,
// make another person.
func TestIdentsAreBytes(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		idents := []models.Ident{"oABC", "oabc", "oABC ", "o\u00e9", "oe\u0301", "\xff\x00"}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			known, err := tx.EnsureCustomers(idents)
			if len(known) != len(idents) {
				t.Errorf("%d of %d are told apart", len(known), len(idents))
			}
			return err
		})
		for _, o := range idents {
			rows, err := s.View(t.Context()).CustomersByOpenID(account.Key, []models.Ident{o})
			if err != nil || len(rows) != 1 || rows[0].OpenID != o {
				t.Errorf("%q finds %d rows, %v", o, len(rows), err)
			}
		}
		testkit.Advisors(t, s, account, 3, func(i int, a *models.Advisor) { // none has an id of another system.
			a.OpenID = idents[i]
		})
		if _, err := s.View(t.Context()).AdvisorBy(account.Key, store.AdvisorOpenID, "OABC"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another case finds an advisor, %v", err)
		}
		if _, err := s.View(t.Context()).AdvisorBy(account.Key, store.AdvisorExternalID, ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no identifier finds an advisor, %v", err)
		}
	})
}

// Ensure "none" is NULL in a key or identifier, 0 in an instant, and comes back as zero.
func TestZeroValues(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		key := testkit.Customers(t, s, account.Key, 1)[0]
		if n := mustCount(t, s, "customer WHERE advisor_id IS NULL AND unionid IS NULL AND bound_at = 0 AND followed_at = 0"); n != 1 {
			t.Errorf("%d rows hold none as none", n)
		}
		read := func() *models.Customer {
			rows, err := s.View(t.Context()).Customers(account.Key, []models.Key{key})
			if err != nil || len(rows) != 1 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			return rows[0]
		}
		if c := read(); !c.AdvisorID.IsZero() || c.UnionID != "" || !c.BoundAt.IsZero() || c.Key != key {
			t.Errorf("read %+v", c)
		}
		// And back again: a value becomes none.
		for _, advisor := range []models.Key{models.NewKey(), {}} {
			at := models.Time(math.MaxInt64)
			if advisor.IsZero() {
				at = 0
			}
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				rows, _, err := tx.LockCustomers([]models.Key{key})
				if err != nil {
					return err
				}
				rows[0].AdvisorID, rows[0].BoundAt, rows[0].UnionID = advisor, at, models.Ident(advisor[:0])
				return tx.UpdateCustomers(rows, "advisor_id", "bound_at", "unionid")
			})
			if c := read(); c.AdvisorID != advisor || c.BoundAt != at || c.UpdatedAt != s.Now() {
				t.Errorf("wrote %s at %d, read %+v", advisor, at, c)
			}
		}
	})
}

// Ensure rows of much text go in several statements, none of which is longer than limits.StatementBytes and a row, and
// rows of little in one.
func TestStatementsOfMuchText(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		customer := testkit.Customers(t, s, account.Key, 1)[0]
		write := func(n, size int) int64 {
			rows := make([]*models.Message, n)
			for i := range rows {
				rows[i] = &models.Message{
					AccountID: account.Key, Key: models.NewKey(), CustomerID: customer, Direction: models.FromCustomer,
					Kind: models.ContentText, Status: models.StatusReceived, Text: strings.Repeat("t", size), At: 1, CreatedAt: 1,
				}
			}
			var statements atomic.Int64
			err := s.Write(store.CountStatements(t.Context(), &statements), store.System(), account.Key, func(tx *store.Tx) error { return tx.InsertMessages(rows) })
			if err != nil {
				t.Fatal(err)
			}
			return statements.Load()
		}
		few := write(2, 1)
		full := limits.StatementBytes/limits.InboundTextBytes + 1
		if n := write(full, 1); n != few {
			t.Errorf("%d short rows take %d statements, not %d", full, n, few)
		}
		if n := write(full-full/20, limits.InboundTextBytes); n != few { // with room for what is beside the texts.
			t.Errorf("%d long rows take %d statements, not %d", full-full/20, n, few)
		}
		if n := write(full, limits.InboundTextBytes); n != few+1 {
			t.Errorf("%d long rows take %d statements, not %d", full, n, few+1)
		}
	})
}
