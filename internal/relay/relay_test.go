package relay_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"clientele/internal/relay"
)

type edge struct {
	Cursor string
	Node   int
}

// Ensure an id says what it names, and that nothing else is taken for one.
func TestParseID(t *testing.T) {
	good := relay.ID{Kind: "cu", Key: [16]byte{15: 7}}
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"an id", good.String(), true},
		{"empty", "", false},
		{"cut", good.String()[:23], false},
		{"longer", good.String() + "A", false},
		{"padded", good.String()[:22] + "==", false},
		{"another alphabet", strings.Repeat("+", 24), false},
		{"a line end", good.String()[:23] + "\n", false},
		{"a kind in capitals", relay.ID{Kind: "CU"}.String(), false},
		{"words", "rubbish rubbish rubbish!", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, ok := relay.ParseID(tt.text)
			if ok != tt.ok || ok && id != good {
				t.Errorf("%q is %v, %t", tt.text, id, ok)
			}
		})
	}
	if n := len(good.String()); n != 24 {
		t.Errorf("an id has %d characters", n)
	}
}

// Ensure any value of an ID argument that is no id becomes the zero ID, which resolvers refuse.
func TestIDArgument(t *testing.T) {
	good := relay.ID{Kind: "me", Key: [16]byte{1}}
	var quoted bytes.Buffer
	good.MarshalGQL(&quoted)
	if quoted.String() != `"`+good.String()+`"` {
		t.Errorf("written as %s", quoted.String())
	}
	for _, v := range []any{12, nil, true, "no id", []any{"x"}, map[string]any{}} {
		id := good
		if err := id.UnmarshalGQL(v); err != nil || id != (relay.ID{}) {
			t.Errorf("%v is %v, %v", v, id, err)
		}
	}
}

// Ensure a page has what was asked for, and says whether there is more.
func TestConnect(t *testing.T) {
	position := func(n int) relay.Keyset { return relay.Keyset{Sort: int64(n)} }
	for _, tt := range []struct {
		name string
		rows []int
		page relay.Page
		want int
		more bool
	}{
		{"empty", nil, relay.Page{First: 2}, 0, false},
		{"not full", []int{1}, relay.Page{First: 2}, 1, false},
		{"full, the last", []int{1, 2}, relay.Page{First: 2}, 2, false},
		{"full, with a next", []int{1, 2, 3}, relay.Page{First: 2}, 2, true},
		{"behind a cursor", []int{1}, relay.Page{First: 2, After: &relay.Keyset{}}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := relay.Connect[int, edge](tt.rows, tt.page, position)
			if len(c.Nodes) != tt.want || len(c.Edges) != tt.want || c.Nodes == nil || c.PageInfo.HasNextPage != tt.more {
				t.Errorf("%+v %+v", c, c.PageInfo)
			}
			if c.PageInfo.HasPreviousPage != (tt.page.After != nil) {
				t.Error("hasPreviousPage")
			}
			if tt.want == 0 {
				if c.PageInfo.StartCursor != nil || c.PageInfo.EndCursor != nil {
					t.Error("an empty page has cursors")
				}
				return
			}
			last, ok := relay.ParseKeyset(*c.PageInfo.EndCursor)
			if !ok || last.Sort != int64(tt.rows[tt.want-1]) || c.Edges[0].Cursor != *c.PageInfo.StartCursor {
				t.Errorf("cursors %v %v", *c.PageInfo.StartCursor, last)
			}
		})
	}
}

// FuzzParseID holds that an id has one spelling.
func FuzzParseID(f *testing.F) {
	f.Add(relay.ID{Kind: "ad", Key: [16]byte{3}}.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := relay.ParseID(s); ok && id.String() != s {
			t.Errorf("%q is also %q", s, id)
		}
	})
}

// FuzzParseKeyset holds the same for cursors of lists.
func FuzzParseKeyset(f *testing.F) {
	f.Add(relay.Keyset{Sort: math.MinInt64, Key: [16]byte{9}}.Encode())
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := relay.ParseKeyset(s); ok && k.Encode() != s {
			t.Errorf("%q is also %q", s, k.Encode())
		}
	})
}
