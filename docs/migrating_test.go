package docs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	gql "github.com/vektah/gqlparser/v2/ast"

	"clientele/schema"
)

// Ensure the table for merchants who come from the platform's own API has each of its numbers once, each with a counterpart that the
// schema has, with a rule that is not built yet, or with why there is none (rule X3).
func TestMigratingIsComplete(t *testing.T) {
	missing := map[string]bool{}
	add := func(where string, values ...int) {
		for _, v := range values {
			missing[fmt.Sprintf("%s %d", where, v)] = true
		}
	}
	add("advisor status", 1, 2, 3, 4)
	add("scan action", 1, 2, 3, 4)
	add("task_status", 1, 2, 3, 4)
	add("send_status", 1, 2, 3, 4, 5)
	add("content_type", 1, 3, 49)
	add("direction", 1, 2)
	for code := 9300801; code <= 9300826; code++ {
		add("error", code)
	}
	add("error", 65407, 43004, -1000, -2)

	s, err := gqlparser.LoadSchema(&gql.Source{Name: "schema", Input: schema.SDL()})
	if err != nil {
		t.Fatal(err)
	}
	rules := mustRead(t, "rules.md")
	ours := regexp.MustCompile("`([A-Za-z]+)\\.([A-Za-z_]+)`")
	pending := regexp.MustCompile(`^not built yet \(([A-Z][0-9]+)\)`)
	_, table, _ := strings.Cut(mustRead(t, "migrating.md"), "<!-- begin values -->")
	table, _, _ = strings.Cut(table, "<!-- end values -->")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[0]) == "where" {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		value := cells[0] + " " + cells[1]
		if !missing[value] {
			t.Errorf("%q is no number of the original API, or stands twice", value)
		}
		delete(missing, value)
		names := ours.FindAllStringSubmatch(cells[3], -1)
		waits := pending.FindStringSubmatch(cells[3])
		switch {
		case len(waits) > 0:
			_, rule, _ := strings.Cut(rules, "**"+waits[1]+".**")
			if rule, _, _ = strings.Cut(rule, "\n\n"); !strings.Contains(rule, "Not built") {
				t.Errorf("%s waits for rule %s, which is built", value, waits[1])
			}
		case len(names) == 0 && !strings.HasPrefix(cells[3], "none: "):
			t.Errorf("%s has no counterpart, and no reason", value)
		}
		for _, n := range names {
			d := s.Types[n[1]]
			switch {
			case d == nil:
				t.Errorf("%s: the schema has no %s", value, n[1])
			case d.Kind == gql.Enum && !slices.ContainsFunc(d.EnumValues, func(v *gql.EnumValueDefinition) bool { return v.Name == n[2] }),
				d.Kind != gql.Enum && d.Fields.ForName(n[2]) == nil:
				t.Errorf("%s: %s has no %s", value, n[1], n[2])
			}
		}
	}
	for value := range missing {
		t.Errorf("%s has no row", value)
	}
}
