package server

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"clientele/limits"
)

// Ensure the steps of validation are counted: by pairs of one name, in every place where they meet, for every operation that gets there,
// and never for longer than there are steps (rule X2).
func TestComparing(t *testing.T) {
	for name, tt := range map[string]struct {
		document string
		steps    int
	}{
		"a field":                   {`{a}`, visitSteps + 1},
		"two names":                 {`{a b}`, 2 * (visitSteps + 1)},
		"two of a name":             {`{a a}`, 2*(visitSteps+1) + 1},
		"three of a name":           {`{a a a}`, 3*(visitSteps+1) + 3},
		"an alias":                  {`{a x:a}`, 2 * (visitSteps + 1)},
		"aliases of a name":         {`{x:b x:a}`, 2*(visitSteps+1) + 1},
		"values":                    {`{a(b:[1,2]) a}`, 2*(visitSteps+1) + 1 + 3},
		"below":                     {`{a{b} a{b}}`, 4*(visitSteps+1) + 1 + 1 + 1},
		"inline fragments":          {`{...{a} ...{a}}`, 4*(visitSteps+1) + 1 + 2}, // each once more by itself
		"an inline fragment":        {`{...{...{a a}}}`, 4*visitSteps + 4 + 1 + 3 + 1 + 2 + 1},
		"a fragment":                {`{a ...F} fragment F on Q{a}`, 2*visitSteps + 2*visitSteps + 2 + 1 + 1 + 1 + 1},
		"a fragment of two":         {`query A{...F} query B{...F} fragment F on Q{a}`, 2*2*visitSteps + visitSteps + 2*(1+1) + 1},
		"a fragment that is none":   {`{...F}`, visitSteps + 1},
		"fragments beside another":  {`{...F ...G} fragment F on Q{a} fragment G on Q{a}`, 4*visitSteps + 2*visitSteps + 2 + 2*1 + 1 + 1 + 1 + 1 + 1},
		"fragments in a circle":     {`{...F} fragment F on Q{...G} fragment G on Q{...F}`, 3*3*visitSteps + 3 + 2 + 2 + 2},
		"a fragment inside itself":  {`{...F} fragment F on Q{a{...F}}`, -1},
		"two fragments of one name": {`{...F} fragment F on Q{a} fragment F on Q{a a}`, -1},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := parser.ParseQuery(&ast.Source{Input: tt.document})
			if err != nil {
				t.Fatal(err)
			}
			steps := 0
			for !isComparable(doc, steps) {
				if steps++; steps > 1_000 {
					t.Fatal("it has no end")
				}
			}
			if tt.steps >= 0 && steps != tt.steps {
				t.Errorf("%d steps, want %d", steps, tt.steps)
			}
		})
	}
	endless := `{...f0}`
	for i := range 60 {
		f := string(rune('a'+i/26)) + string(rune('a'+i%26))
		endless += " fragment " + f + " on Q{" + strings.Repeat(" x{...ab}", 5) + "}"
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: endless})
	if err != nil {
		t.Fatal(err)
	}
	if isComparable(doc, 100) || !isComparable(doc, limits.QueryComparisons) {
		t.Error("counting does not stop")
	}
}
