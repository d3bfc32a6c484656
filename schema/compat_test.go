package schema_test

import (
	"flag"
	"iter"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/schema"
)

var update = flag.Bool("update", false, "write testdata/released.graphql anew and empty testdata/breaking.txt: only at a release")

const (
	released = "testdata/released.graphql"
	// accepted holds what breaks clients of the last release on purpose: a line for each, of a coordinate and the ADR that says why.
	accepted       = "testdata/breaking.txt"
	acceptedNotice = "# What breaks clients of the last release on purpose, a line each: Type.field(argument) ADR-NNNN. Empty after a release; the rules are in CONTRIBUTING.md.\n"
)

// Which release released.graphql is of stands in its first line, and what the last one is in the headings of the changelog.
const (
	changelog     = "../CHANGELOG.md"
	releaseNotice = "# Release: "
)

var acceptedLine = regexp.MustCompile(`^(@?[A-Za-z0-9_]+(\.[A-Za-z0-9_]+(\([A-Za-z0-9_]+\))?)?) ADR-([0-9]{4})$`)

// Ensure no client of the last release breaks: what they may ask for is still there, answers
// hold no null where there was none, and nothing more is demanded of them.
func TestCompatible(t *testing.T) {
	if *update {
		if err := os.WriteFile(released, []byte(releaseNotice+lastRelease(mustRead(t, changelog))+"\n\n"+schema.Printed()), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(accepted, []byte(acceptedNotice), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(released)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(accepted)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range unaccepted(breaking(mustLoad(t, string(old)), mustLoad(t, schema.SDL())), string(text)) {
		t.Error(fault)
	}
}

// Ensure what clients are held to is the contract of the last release of the changelog: who writes a release's heading and forgets the contract is
// told. Before the first release it is that of the day on which breaks began to be written down, and says `none`.
func TestReleasedIsOfTheLastRelease(t *testing.T) {
	want := releaseNotice + lastRelease(mustRead(t, changelog))
	if got, _, _ := strings.Cut(mustRead(t, released), "\n"); got != want {
		t.Errorf("%s begins with %q, not %q: go test ./schema -run TestCompatible -update, at the release", released, got, want)
	}
	for text, want := range map[string]string{
		"# Changelog\n\n## Next\n\n### New\n":                                  "none",
		"## Next\n\n## 0.2.0, 2027-01-05\n\n### New\n\n## 0.1.0, 2026-12-01\n": "0.2.0, 2027-01-05",
		"## 0.1.0\n": "0.1.0",
	} {
		if got := lastRelease(text); got != want {
			t.Errorf("of %q the last release is %q, not %q", text, got, want)
		}
	}
}

// lastRelease is the first heading of a changelog that is none of what comes next; none where there is no release.
func lastRelease(text string) string {
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok && heading != "Next" {
			return heading
		}
	}
	return "none"
}

func mustRead(tb testing.TB, file string) string {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// Ensure a break is let pass by its own line alone, and that a line goes when its break does.
func TestAccepted(t *testing.T) {
	found := []string{"Item.note: removed", "Query.items(first): Int became Int!", "Item.notes: removed"}
	const note, items, notes = "Item.note ADR-0001\n", "Query.items(first) ADR-0001\n", "Item.notes ADR-0001\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"none", "# a word\n\n", found},
		{"all", note + items + notes, nil},
		{"one", note + notes, found[1:2]},
		{"one more than there are", note + items + notes + "Item.tags ADR-0001\n", []string{accepted + ": Item.tags ADR-0001: breaks nothing"}},
		{"without an ADR", note + items + "Item.notes\n", []string{found[2], accepted + ": Item.notes: not `Type.field(argument) ADR-NNNN`"}},
	} {
		if got := unaccepted(found, tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// unaccepted is what breaks clients without a line of its own in a text of the form of breaking.txt, then the lines that are wrong.
func unaccepted(found []string, text string) (faults []string) {
	var wrong []string
	meant := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := acceptedLine.FindStringSubmatch(line)
		switch {
		case m == nil:
			wrong = append(wrong, accepted+": "+line+": not `Type.field(argument) ADR-NNNN`")
		case !slices.ContainsFunc(found, func(b string) bool { return strings.HasPrefix(b, m[1]+": ") }):
			wrong = append(wrong, accepted+": "+line+": breaks nothing")
		default:
			meant[m[1]] = true
		}
	}
	for _, b := range found {
		if where, _, _ := strings.Cut(b, ": "); !meant[where] {
			faults = append(faults, b)
		}
	}
	return append(faults, wrong...)
}

// Ensure each way to break a client is found, and what breaks nobody is not.
func TestBreaking(t *testing.T) {
	const base = `
directive @mark(a: Int) on FIELD_DEFINITION
interface Named { name: String! }
type Query { item(id: ID!, kind: Kind = ONE): Item! items(first: Int): [Item!]! any: Any }
type Item implements Named { name: String! note: String tags: [String!] }
type Other { name: String }
union Any = Item | Other
enum Kind { ONE TWO }
input Filter { kind: Kind must: Int! }
type Mutation { find(input: Filter!): Item }
scalar Day
`
	for _, tt := range []struct{ name, old, new, want string }{
		{"nothing", ``, ``, ""},
		{"type added", `scalar Day`, `scalar Day type New { a: Int }`, ""},
		{"field added", `note: String`, `note: String more: Int`, ""},
		{"output tightened", `note: String`, `note: String!`, ""},
		{"list output tightened", `tags: [String!]`, `tags: [String!]!`, ""},
		{"argument loosened", `item(id: ID!`, `item(id: ID`, ""},
		{"optional argument added", `items(first: Int`, `items(first: Int, after: String`, ""},
		{"argument with a default added", `items(first: Int`, `items(first: Int, n: Int! = 1`, ""},
		{"enum value added", `ONE TWO`, `ONE TWO THREE`, ""},
		{"union member added", `Item | Other`, `Item | Other | New type New { a: Int }`, ""},
		{"optional input field added", `must: Int!`, `must: Int! may: Int`, ""},
		{"input field loosened", `must: Int!`, `must: Int`, ""},

		{"type removed", `scalar Day`, ``, "Day: removed"},
		{"type of another kind", `scalar Day`, `enum Day { MONDAY }`, "Day: SCALAR became ENUM"},
		{"field removed", `note: String `, ``, "Item.note: removed"},
		{"field of another type", `note: String`, `note: Int`, "Item.note: String became Int"},
		{"output loosened", `item(id: ID!, kind: Kind = ONE): Item!`, `item(id: ID!, kind: Kind = ONE): Item`, "Query.item: Item! became Item"},
		{"list item loosened", `tags: [String!]`, `tags: [String]`, "Item.tags: [String!] became [String]"},
		{"list became one", `tags: [String!]`, `tags: String`, "Item.tags: [String!] became String"},
		{"argument removed", `items(first: Int)`, `items`, "Query.items(first): removed"},
		{"argument tightened", `first: Int`, `first: Int!`, "Query.items(first): Int became Int!"},
		{"argument of another type", `first: Int`, `first: String`, "Query.items(first): Int became String"},
		{"default changed", `kind: Kind = ONE`, `kind: Kind = TWO`, "Query.item(kind): the default ONE became TWO"},
		{"default removed", `kind: Kind = ONE`, `kind: Kind`, "Query.item(kind): the default ONE became none"},
		{"required argument added", `items(first: Int`, `items(first: Int, n: Int!`, "Query.items(n): a required argument is new"},
		{"enum value removed", `ONE TWO`, `ONE`, "Kind.TWO: removed"},
		{"union member removed", `Item | Other`, `Item`, "Any: no longer holds Other"},
		{"interface dropped", `Item implements Named`, `Item`, "Item: no longer implements Named"},
		{"input field removed", `kind: Kind must`, `must`, "Filter.kind: removed"},
		{"input field tightened", `kind: Kind must`, `kind: Kind! must`, "Filter.kind: Kind became Kind!"},
		{"required input field added", `must: Int!`, `must: Int! too: Int!`, "Filter.too: a required field is new"},
		{"directive removed", `directive @mark(a: Int) on FIELD_DEFINITION`, ``, "@mark: removed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(base, tt.old, tt.new, 1)
			if tt.old != "" && changed == base {
				t.Fatalf("nothing to replace: %q", tt.old)
			}
			got := breaking(mustLoad(t, base), mustLoad(t, changed))
			if tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Equal(got, []string{tt.want}) {
				t.Errorf("breaking %q, want %q", got, tt.want)
			}
		})
	}
}

// breaking is every change from old to fresh that breaks a client, each beginning with its
// coordinate.
func breaking(old, fresh *ast.Schema) []string {
	var found []string
	report := func(where, what string) { found = append(found, where+": "+what) }
	for _, name := range slices.Sorted(keys(old.Types)) {
		was, is := old.Types[name], fresh.Types[name]
		switch {
		case was.BuiltIn:
		case is == nil:
			report(name, "removed")
		case was.Kind != is.Kind:
			report(name, string(was.Kind)+" became "+string(is.Kind))
		default:
			breakingType(was, is, report)
		}
	}
	for _, name := range slices.Sorted(keys(old.Directives)) {
		if fresh.Directives[name] == nil {
			report("@"+name, "removed")
		}
	}
	return found
}

func breakingType(was, is *ast.Definition, report func(where, what string)) {
	for _, v := range was.EnumValues {
		if is.EnumValues.ForName(v.Name) == nil {
			report(was.Name+"."+v.Name, "removed")
		}
	}
	for _, member := range was.Types {
		if !slices.Contains(is.Types, member) {
			report(was.Name, "no longer holds "+member)
		}
	}
	for _, i := range was.Interfaces {
		if !slices.Contains(is.Interfaces, i) {
			report(was.Name, "no longer implements "+i)
		}
	}
	for _, f := range was.Fields {
		where, now := was.Name+"."+f.Name, is.Fields.ForName(f.Name)
		switch {
		case now == nil:
			report(where, "removed")
		case was.Kind == ast.InputObject:
			breakingInput(where, f.Type, now.Type, f.DefaultValue, now.DefaultValue, report)
		default:
			if !narrows(f.Type, now.Type) {
				report(where, f.Type.String()+" became "+now.Type.String())
			}
			breakingArguments(where, f.Arguments, now.Arguments, report)
		}
	}
	for _, f := range is.Fields {
		if was.Kind == ast.InputObject && was.Fields.ForName(f.Name) == nil && f.Type.NonNull && f.DefaultValue == nil {
			report(was.Name+"."+f.Name, "a required field is new")
		}
	}
}

func breakingArguments(where string, was, is ast.ArgumentDefinitionList, report func(where, what string)) {
	for _, a := range was {
		here := where + "(" + a.Name + ")"
		if now := is.ForName(a.Name); now == nil {
			report(here, "removed")
		} else {
			breakingInput(here, a.Type, now.Type, a.DefaultValue, now.DefaultValue, report)
		}
	}
	for _, a := range is {
		if was.ForName(a.Name) == nil && a.Type.NonNull && a.DefaultValue == nil {
			report(where+"("+a.Name+")", "a required argument is new")
		}
	}
}

func breakingInput(where string, was, is *ast.Type, before, now *ast.Value, report func(where, what string)) {
	if !narrows(is, was) {
		report(where, was.String()+" became "+is.String())
	}
	text := func(v *ast.Value) string {
		if v == nil {
			return "none"
		}
		return v.String()
	}
	if before != nil && text(before) != text(now) {
		report(where, "the default "+text(before)+" became "+text(now))
	}
}

// narrows reports whether whoever reads a `was` can read an `is`: the same, or null in fewer
// places. For what clients write it holds the other way round.
func narrows(was, is *ast.Type) bool {
	if was.NonNull && !is.NonNull || (was.Elem == nil) != (is.Elem == nil) {
		return false
	}
	if was.Elem != nil {
		return narrows(was.Elem, is.Elem)
	}
	return was.NamedType == is.NamedType
}

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
