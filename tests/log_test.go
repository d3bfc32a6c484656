package tests

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"clientele/internal/server"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure an error of the database is logged by its number, wherever it stands among others, and nothing of the row that
// it is about: MySQL and MariaDB quote the key that is taken.
func TestLogQuotesNoRow(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		const secret = "openid-of-somebody"
		insert := func() error {
			return s.Write(t.Context(), store.System(), account.Key, func(tx *store.Tx) error {
				return tx.InsertInbound([]*models.InboundRecord{{AccountID: account.Key, DedupKey: secret, Kind: models.InboundOther}})
			})
		}
		if err := insert(); err != nil {
			t.Fatal(err)
		}
		taken := insert()
		if !errors.Is(taken, store.ErrDuplicate) {
			t.Fatalf("the second row: %v", taken)
		}
		var out bytes.Buffer
		log := server.Traced(slog.New(slog.NewTextHandler(&out, nil)))
		several := errors.Join(errors.New("something else"), fmt.Errorf("account 7: %w", taken))
		log.Warn("a line", "error", several)
		log.With("error", several).Warn("a line")
		lines := out.String()
		if strings.Contains(lines, secret) {
			t.Errorf("the log quotes a row:\n%s", lines)
		}
		for _, want := range []string{"something else", "account 7: ", "sql", " error "} {
			if strings.Count(lines, want) < 2 {
				t.Errorf("the log does not say %q twice:\n%s", want, lines)
			}
		}
	})
}
