package schema_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/schema"
)

// Ensure the printed schema is all of the schema: printing what was read from it gives it again, and each directive that stands in the
// sources stands in it as often.
func TestPrintedIsWhole(t *testing.T) {
	printed := schema.Printed()
	source, again := mustLoad(t, schema.SDL()), mustLoad(t, printed)
	if schema.Print(again) != printed {
		t.Error("what is printed reads as another schema")
	}
	for _, fault := range append(breaking(source, again), breaking(again, source)...) {
		t.Error(fault)
	}
	for _, fault := range lint(again) {
		t.Error(fault) // a description was lost
	}
	if again.Description != source.Description || again.Description == "" {
		t.Errorf("the schema is described by %q", again.Description)
	}
	for _, name := range []string{"allow", "specifiedBy", "oneOf", "deprecated"} {
		uses := func(s *ast.Schema) (n int) {
			count := func(d ast.DirectiveList) { n += len(d.ForNames(name)) }
			for _, d := range s.Types {
				count(d.Directives)
				for _, v := range d.EnumValues {
					count(v.Directives)
				}
				for _, f := range d.Fields {
					count(f.Directives)
					for _, a := range f.Arguments {
						count(a.Directives)
					}
				}
			}
			return n
		}
		if was, is := uses(source), uses(again); was != is {
			t.Errorf("@%s stands in the sources %d times, in what is printed %d times", name, was, is)
		}
	}
}

// Ensure nothing of the generator gets to clients: a directive is GraphQL's own, or declared by the schema for them.
func TestPrintedDirectives(t *testing.T) {
	own := []string{"allow", "deprecated", "oneOf", "specifiedBy"}
	for _, m := range regexp.MustCompile(`@([a-zA-Z_]+)\b`).FindAllStringSubmatch(undescribed(schema.Printed()), -1) {
		if !slices.Contains(own, m[1]) {
			t.Errorf("@%s is printed", m[1])
		}
	}
}

// Ensure every form of a definition is printed so that it reads the same: descriptions with quotes, deep in a line and of several
// lines, defaults, interfaces of interfaces, directives wherever they may stand.
func TestPrint(t *testing.T) {
	const source = `
"""
Of "all", with \""" in it.

	And a tab.
"""
schema { query: Asked }
"Marks." directive @mark("How." with: [Int!] = [1, 2]) repeatable on FIELD_DEFINITION | ENUM_VALUE | ARGUMENT_DEFINITION
"A \"quoted\" \\ scalar." scalar Day @specifiedBy(url: "https://example.com/a\"b")
interface Named { name: String! }
interface Known implements Named { name: String! id: ID! }
type Asked implements Known & Named { name: String! id: ID! "Old." old("Was." a: Int = 3 @deprecated(reason: "no"), b: Kind = TWO @mark): [Any!]! @deprecated(reason: "use \"id\"") @mark(with: 1) @mark }
union Any = Asked | Other
type Other { a: Int }
enum Kind { "One." ONE @deprecated TWO @mark }
input By @oneOf { id: ID name: String @deprecated(reason: "slow") }
input Wrapped { by: By = {id: "1"} text: String = "a\nb" list: [[Int!]] = [[1], []] }
`
	s := mustLoad(t, source)
	printed := schema.Print(s)
	again := mustLoad(t, printed)
	if got := schema.Print(again); got != printed {
		t.Errorf("printed again it is\n%s\nnot\n%s", got, printed)
	}
	if again.Description != s.Description {
		t.Errorf("the description %q became %q", s.Description, again.Description)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		if was, is := s.Types[name], again.Types[name]; is == nil || was.Description != is.Description {
			t.Errorf("%s: the description of %+v became that of %+v", name, was, is)
		}
	}
	for _, want := range []string{
		`@specifiedBy(url: "https://example.com/a\"b")`, `@deprecated(reason: "use \"id\"")`, "input By @oneOf {", "interface Known implements Named {",
		"a: Int = 3 @deprecated(reason: \"no\")", "b: Kind = TWO @mark", "ONE @deprecated", `by: By = {id:"1"}`, "union Any = Asked | Other", "repeatable on FIELD_DEFINITION",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(printed)
	}
}

// undescribed is SDL without its descriptions, whose texts may speak of directives.
func undescribed(sdl string) string {
	return regexp.MustCompile(`(?s)""".*?"""`).ReplaceAllString(sdl, "")
}
