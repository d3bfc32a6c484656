package models_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"clientele/models"
)

// Ensure of a text no line of which another is part of, some gram is lacking or the text is as it is; and
// every text has the grams of each of its parts (ADR 0028).
func TestGramsLeadToEveryPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := models.Customer{
			Nickname: rapid.StringOfN(rapid.RuneFrom([]rune("王小明abＡÉ ")), 0, 8, -1).Draw(t, "nickname"),
			Info:     rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("王小tea％ﬁ😀")), 1, 8, -1), 0, 3).Draw(t, "info"),
		}
		text := c.SearchText()
		lines := strings.Split(string(text), "\n")
		line := []rune(lines[rapid.IntRange(0, len(lines)-1).Draw(t, "line")])
		from := rapid.IntRange(0, len(line)).Draw(t, "from")
		part := models.Folded(line[from:rapid.IntRange(from, len(line)).Draw(t, "to")])
		has := text.Grams()
		for gram := range part.Grams() {
			if !has[gram] {
				t.Fatalf("%q has %q in it and not its gram %q", text, part, gram)
			}
			if len(gram) > 8 {
				t.Fatalf("the gram %q has %d bytes", gram, len(gram))
			}
		}
		if runes := []rune(string(part)); len(runes) > 1 && len(part.Grams()) == 0 {
			t.Fatalf("%q has no grams", part)
		}
	})
}

// Ensure grams are pairs and, but for ASCII, single characters, of each line by itself.
func TestGrams(t *testing.T) {
	for text, want := range map[models.Folded][]models.Ident{
		"":       nil,
		"a":      nil,
		"ab":     {"ab"},
		"王":      {"王"},
		"王小\n明a": {"小", "明", "明a", "王", "王小"},
		"aaa":    {"aa"},
	} {
		if got := slices.Sorted(maps.Keys(text.Grams())); !slices.Equal(got, want) {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}
