package schema_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"clientele/schema"
)

// Ensure the schema keeps its own conventions: every element is described, and whoever has seen
// one mutation or list has seen them all.
func TestLint(t *testing.T) {
	for _, fault := range lint(mustLoad(t, schema.SDL())) {
		t.Error(fault)
	}
}

// Ensure the linter finds what it is for: each fault planted, one at a time, is reported.
func TestLintFindsFaults(t *testing.T) {
	const good = `
"Roles." directive @allow("Which." roles: [String!]!) on FIELD_DEFINITION
"A page." type PageInfo { "More." hasNextPage: Boolean! }
"An item." type Item { "Its id." id: ID! "Its parts." parts("How many." first: Int "After." after: String): ItemConnection! }
"Items." type ItemConnection { "Edges." edges: [ItemEdge!]! "Nodes." nodes: [Item!]! "Page." pageInfo: PageInfo! }
"An edge." type ItemEdge { "Cursor." cursor: String! "Node." node: Item! }
"Kinds." enum Kind { "One." ONE }
"Queries." type Query { "An item." item("Which." itemId: ID!): Item @allow(roles: []) }
"Changes." type Mutation { "Makes." createItem("What." input: CreateItemInput!): CreateItemPayload @allow(roles: []) }
"What to make." input CreateItemInput { "Kind." kind: Kind }
"What was made." type CreateItemPayload { "It." item: Item! }
"One of two." union Any = Item | Other
"Another." type Other { "Its id." id: ID! "Its kind." kind: Kind }
`
	if faults := lint(mustLoad(t, good)); len(faults) > 0 {
		t.Fatalf("the good schema has faults: %q", faults)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"type undescribed", `"An item." type`, `type`, "Item: no description"},
		{"field undescribed", `"Its id." id`, `id`, "Item.id: no description"},
		{"argument undescribed", `("Which." itemId`, `(itemId`, "Query.item(itemId): no description"},
		{"enum value undescribed", `"One." ONE`, `ONE`, "Kind.ONE: no description"},
		{"input field undescribed", `"Kind." kind`, `kind`, "CreateItemInput.kind: no description"},
		{"directive undescribed", `"Roles." directive`, `directive`, "@allow: no description"},
		{"enum value in small letters", `ONE }`, `one }`, "Kind.one: an enum value is in capitals"},
		{"root field open to nobody knows whom", `: Item @allow(roles: [])`, `: Item`, "Query.item: no @allow"},
		{"get prefix", `item("Which."`, `getItem("Which."`, "Query.getItem: no `get`"},
		{"bare id", `itemId: ID!`, `id: ID!`, "Query.item(id): an ID argument names its noun"},
		{"id by another name", `itemId: ID!`, `item: ID!`, "Query.item(item): an ID argument names its noun"},
		{"mutation without a verb", `createItem(`, `item(`, "Mutation.item: begins with no known verb"},
		{"mutation without input", `"What." input: CreateItemInput!`, `"What." kind: Kind`, "Mutation.createItem: takes exactly `input: CreateItemInput!`"},
		{"optional input", `CreateItemInput!`, `CreateItemInput`, "Mutation.createItem: takes exactly `input: CreateItemInput!`"},
		{"foreign payload", `: CreateItemPayload @`, `: Item @`, "Mutation.createItem: answers with `CreateItemPayload`"},
		{"connection without nodes", `"Nodes." nodes: [Item!]!`, ``, "ItemConnection: must have nodes"},
		{"nullable node", `node: Item!`, `node: Item`, "ItemEdge: must have node: Item!"},
		{"connection without first", `"How many." first: Int`, ``, "Item.parts: a connection takes first: Int"},
		{"list with holes", `[ItemEdge!]!`, `[ItemEdge]!`, "ItemConnection.edges: a list holds no null"},
		{"members of a union that differ in null", `"Another." type Other { "Its id." id: ID!`, `"Another." type Other { "Its id." id: ID`, "Other.id: is ID, and Item.id is ID!: members of Any cannot be asked for both"},
		{"members of a union that differ in type", `"Its kind." kind: Kind }`, `"Its kind." parts: Kind }`, "Other.parts: is Kind, and Item.parts is ItemConnection!"},
		{"snake case", `createItem(`, `create_item(`, "Mutation.create_item: not lowerCamelCase"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(good, tt.old) {
				t.Fatalf("nothing to replace: %q", tt.old)
			}
			faults := lint(mustLoad(t, strings.Replace(good, tt.old, tt.new, 1)))
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, tt.want) }) {
				t.Errorf("faults %q, want one that begins with %q", faults, tt.want)
			}
		})
	}
}

func mustLoad(tb testing.TB, sdl string) *ast.Schema {
	tb.Helper()
	s, err := gqlparser.LoadSchema(&ast.Source{Name: "schema", Input: sdl})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// verbs begin the names of mutations; a new one is a decision.
var verbs = []string{
	"accept", "add", "answer", "assign", "cancel", "clear", "close", "confirm", "create", "delete", "edit", "erase", "export",
	"import", "invite", "issue", "mark", "pin", "preview", "rebind", "record", "remove", "rename", "replace", "replay", "report",
	"resend", "revoke", "rotate", "send", "set", "simulate", "start", "stop", "tag", "test", "unbind", "unpin", "update", "upload",
}

var (
	lowerCamel = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
	capitals   = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

type linter struct {
	schema *ast.Schema
	faults []string
}

// lint is every breach of the conventions, each beginning with its coordinate.
func lint(s *ast.Schema) []string {
	l := &linter{schema: s}
	for _, name := range slices.Sorted(keys(s.Types)) {
		if d := s.Types[name]; !d.BuiltIn {
			l.definition(d)
		}
	}
	for _, name := range slices.Sorted(keys(s.Directives)) {
		if d := s.Directives[name]; d.Position != nil && !d.Position.Src.BuiltIn {
			l.described("@"+name, d.Description)
			l.arguments("@"+name, d.Arguments)
		}
	}
	return l.faults
}

func (l *linter) fault(where, what string) { l.faults = append(l.faults, where+": "+what) }

func (l *linter) described(where, text string) {
	if strings.TrimSpace(text) == "" {
		l.fault(where, "no description")
	}
}

func (l *linter) definition(d *ast.Definition) {
	l.described(d.Name, d.Description)
	for _, v := range d.EnumValues {
		l.described(d.Name+"."+v.Name, v.Description)
		if !capitals.MatchString(v.Name) {
			l.fault(d.Name+"."+v.Name, "an enum value is in capitals")
		}
	}
	for _, f := range d.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			l.field(d, f)
		}
	}
	if d.Kind == ast.Union {
		l.together(d)
	}
	if noun, ok := strings.CutSuffix(d.Name, "Connection"); ok {
		l.has(d, "edges: ["+noun+"Edge!]!", "nodes: ["+noun+"!]!", "pageInfo: PageInfo!")
	}
	if noun, ok := strings.CutSuffix(d.Name, "Edge"); ok {
		l.has(d, "cursor: String!", "node: "+noun+"!")
	}
}

// together: what members of a union call by one name has one type, so that a selection may ask for it of all of them. Else the document is
// refused, and each client needs an alias. Members of Node are not held to it: what is asked for by an id is of one type, mostly.
func (l *linter) together(union *ast.Definition) {
	type named struct{ where, shape string }
	first := map[string]named{}
	for _, member := range union.Types {
		for _, f := range l.schema.Types[member].Fields {
			it := named{where: member + "." + f.Name, shape: f.Type.String()}
			if before, ok := first[f.Name]; !ok {
				first[f.Name] = it
			} else if before.shape != it.shape {
				l.fault(it.where, "is "+it.shape+", and "+before.where+" is "+before.shape+": members of "+union.Name+" cannot be asked for both")
			}
		}
	}
}

func (l *linter) field(d *ast.Definition, f *ast.FieldDefinition) {
	where := d.Name + "." + f.Name
	l.described(where, f.Description)
	l.arguments(where, f.Arguments)
	l.noHoles(where, f.Type, d == l.schema.Query)
	if !lowerCamel.MatchString(f.Name) {
		l.fault(where, "not lowerCamelCase")
	}
	if regexp.MustCompile(`^get[A-Z]`).MatchString(f.Name) {
		l.fault(where, "no `get` in a field's name")
	}
	if strings.HasSuffix(f.Type.Name(), "Connection") {
		for _, want := range []string{"first: Int", "after: String"} {
			if !slices.Contains(signatures(f.Arguments), want) {
				l.fault(where, "a connection takes "+want)
			}
		}
	}
	if d == l.schema.Query || d == l.schema.Mutation || d == l.schema.Subscription {
		if f.Directives.ForName("allow") == nil {
			l.fault(where, "no @allow: nobody could select it")
		}
	}
	if d == l.schema.Mutation {
		l.mutation(where, f)
	}
}

func (l *linter) mutation(where string, f *ast.FieldDefinition) {
	if !slices.ContainsFunc(verbs, func(v string) bool { return regexp.MustCompile("^" + v + "[A-Z]").MatchString(f.Name) }) {
		l.fault(where, "begins with no known verb")
	}
	name := strings.ToUpper(f.Name[:1]) + f.Name[1:]
	if got := signatures(f.Arguments); len(got) != 1 || got[0] != "input: "+name+"Input!" {
		l.fault(where, "takes exactly `input: "+name+"Input!`")
	}
	if f.Type.Name() != name+"Payload" || f.Type.Elem != nil {
		l.fault(where, "answers with `"+name+"Payload`")
	}
}

func (l *linter) arguments(where string, arguments ast.ArgumentDefinitionList) {
	for _, a := range arguments {
		here := where + "(" + a.Name + ")"
		l.described(here, a.Description)
		l.noHoles(here, a.Type, false)
		if !lowerCamel.MatchString(a.Name) {
			l.fault(here, "not lowerCamelCase")
		}
		isNode := where == "Query.node" || where == "Query.nodes"
		if a.Type.Name() == "ID" && !isNode && !strings.HasSuffix(a.Name, "Id") && !strings.HasSuffix(a.Name, "Ids") {
			l.fault(here, "an ID argument names its noun, e.g. taskId")
		}
	}
}

// noHoles: a list's items are never null, but in answers that stand for the ids asked for.
func (l *linter) noHoles(where string, t *ast.Type, answersByPlace bool) {
	if t.Elem != nil && !t.Elem.NonNull && !answersByPlace {
		l.fault(where, "a list holds no null")
	}
}

func (l *linter) has(d *ast.Definition, fields ...string) {
	for _, want := range fields {
		if !slices.ContainsFunc(d.Fields, func(f *ast.FieldDefinition) bool { return f.Name+": "+f.Type.String() == want }) {
			l.fault(d.Name, "must have "+want)
		}
	}
}

func signatures(arguments ast.ArgumentDefinitionList) []string {
	s := make([]string, len(arguments))
	for i, a := range arguments {
		s[i] = a.Name + ": " + a.Type.String()
	}
	return s
}
