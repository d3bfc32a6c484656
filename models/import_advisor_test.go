package models

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Ensure names come out of a cell as they went in, and as people write them.
func TestNames(t *testing.T) {
	for cell, want := range map[string][]string{
		"": nil, ";": nil, " ; ;": nil, "a": {"a"}, "a;b": {"a", "b"}, " a ; b ;": {"a", "b"}, `a\;b;c`: {"a;b", "c"}, `a\\;b`: {`a\`, "b"}, `a\b\`: {`a\b\`},
	} {
		if got := SplitNames(cell); !slices.Equal(got, want) {
			t.Errorf("%q holds %q, want %q", cell, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune(`ab;\茶 `)), 1, 6, -1).Filter(func(s string) bool { return strings.TrimSpace(s) == s }), 0, 5).Draw(t, "names")
		if got := SplitNames(JoinNames(names)); !slices.Equal(got, names) {
			t.Errorf("%q comes back as %q", names, got)
		}
	})
}

// Ensure an export has a cell for each column of its header, which an import takes.
func TestAdvisorHeader(t *testing.T) {
	h, err := NewImportHeader(ImportAdvisors, AdvisorColumns, "f")
	if err != nil || len(h) != len(AdvisorColumns) {
		t.Fatalf("the header of an export is %v, %v", h, err)
	}
	for _, name := range importColumns {
		_, isOne := h[name]
		if _, err := NewImportHeader(ImportAdvisors, []string{columnOpenID, name}, "f"); isOne != (err == nil) && name != columnOpenID {
			t.Errorf("%s in a file of advisors: %v", name, err)
		}
	}
}
