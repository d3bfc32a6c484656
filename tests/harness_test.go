package tests

import (
	"encoding/base64"
	"testing"
	"time"

	"clientele/events"
	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/models"
)

// Ensure the search for the twin's ids finds each spelling of one.
func TestTwinIsFound(t *testing.T) {
	key, other := models.NewKey(), models.NewKey()
	tw := &twin{keys: map[models.Key]bool{key: true}, scenes: []string{"scene-of-the-twin"}}
	for name, text := range map[string]string{
		"id":           relay.ID{Kind: models.KindCustomer, Key: key}.String(),
		"list cursor":  relay.Keyset{Sort: 7, Key: key}.Encode(),
		"event cursor": events.EncodeCursor(events.Cursor{Stream: key, Seq: 9}),
		"hexadecimal":  "account " + key.String(),
		"token":        "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"acc":"`+key.String()+`"}`)) + ".sig",
		"scene":        "https://x/?s=scene-of-the-twin",
		"text":         "he wrote: " + secretText,
	} {
		if tw.leaks(text) == "" {
			t.Errorf("%s %q is not found", name, text)
		}
	}
	for _, text := range []string{relay.ID{Kind: models.KindCustomer, Key: other}.String(), other.String(), "hello", ""} {
		if leak := tw.leaks(text); leak != "" {
			t.Errorf("%q is taken for the twin's %s", text, leak)
		}
	}
}

// Ensure the checksum sees a change of any one row.
func TestChecksumSeesChanges(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		before := w.checksum(a.account)
		if changed := w.checksum(a.account).changed(before); changed != "" {
			t.Fatalf("the same rows have two checksums: %s", changed)
		}
		for table, change := range map[string]string{
			"customer": "UPDATE customer SET nickname = 'x' WHERE openid = X'776569'", "conversation": "UPDATE conversation SET unread = unread + 1", "audit": "DELETE FROM audit",
		} {
			if _, err := w.db.ExecContext(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			after := w.checksum(a.account)
			if changed := after.changed(before); changed != table {
				t.Errorf("%s is seen in %q", change, changed)
			}
			before = after
		}
	})
}

func TestMatch(t *testing.T) {
	now := testkit.Start
	for _, tt := range []struct {
		name      string
		want, got any
		matches   bool
	}{
		{"fields may be left out", map[string]any{"a": 1.0}, map[string]any{"a": 1.0, "b": 2.0}, true},
		{"fields must be there", map[string]any{"a": nil}, map[string]any{}, false},
		{"items may not be left out", []any{"a"}, []any{"a", "b"}, false},
		{"values differ", "a", "b", false},
		{"null is not a text", "<text x>", nil, false},
		{"an id", "<id x>", relay.ID{Kind: "cu"}.String(), true},
		{"no id", "<id x>", "x", false},
		{"a known one", "<id known>", "k", true},
		{"another", "<id known>", "l", false},
		{"instant", "<time +1h>", now.Add(time.Hour).Format(timeForm), true},
		{"another instant", "<time +1h>", now.Format(timeForm), false},
		{"one of", "<one of A B>", "B", true},
		{"none of", "<one of A B>", "C", false},
	} {
		n := names{"id known": "k"}
		if d := n.match(tt.want, tt.got, now, "x"); (d == "") != tt.matches {
			t.Errorf("%s: %q", tt.name, d)
		}
	}
}
