package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"clientele/graph"
	"clientele/limits"
)

func parsedSchema() *ast.Schema { return graph.NewExecutableSchema(graph.Config{}).Schema() }

// Ensure what is reckoned for an operation is what it may read: pages inside pages, inside nodes by id, inside results of what was sent, and inside lists of a
// known length (rule X2).
func TestReckoning(t *testing.T) {
	schema := parsedSchema()
	ids := func(n int) string { return strings.Repeat(`"x",`, n) }
	const page = "messages(first: 100) { nodes { id } }"
	for _, tt := range []struct {
		query     string
		variables map[string]any
		want      int
	}{
		{"{ viewer { role } }", nil, 0},
		{"{ inbox { nodes { id } } }", nil, 50},
		{"{ inbox(first: 10) { nodes { id } edges { node { id } } } }", nil, 10},
		{"{ inbox(first: 10) { nodes { " + page + " } } }", nil, 10 * 101},
		{"{ inbox(first: 10) { edges { node { ...f } } nodes { ...f } } } fragment f on Conversation { " + page + " }", nil, 10 * 201},
		{"{ inbox(first: 10) { nodes { customer { tags { id tag { id } } } } } }", nil, 10},
		{"{ nodes(ids: [" + ids(3) + "]) { id ... on Conversation { " + page + " } } }", nil, 300},
		{"query($i: [ID!]!) { nodes(ids: $i) { id ... on Conversation { " + page + " } } }", map[string]any{"i": []any{"a", "b"}}, 200},
		{`{ nodes(ids: "a") { ... on Conversation { ` + page + ` } } }`, nil, 100},
		{`{ node(id: "a") { ... on Conversation { ` + page + ` } } }`, nil, 100},
		{"query($i: [ID!]!) { a: nodes(ids: $i) { ...f } b: nodes(ids: \"a\") { ...f } } fragment f on Conversation { " + page + " }", map[string]any{"i": []any{"a", "b"}}, 300},
		{`{ advisors(first: 10) { nodes { groups { name } } } }`, nil, 10},
		{`{ advisors(first: 10) { nodes { groups { advisors(first: 1) { nodes { id } } } } } }`, nil, 10 * (1 + limits.GroupsPerAccount)},
		{
			`mutation($i: UpdateCustomersInput!) { updateCustomers(input: $i) { results { customer { advisor { groups { advisors(first: 1) { nodes { id } } } } } } } }`,
			map[string]any{"i": map[string]any{"customers": []any{map[string]any{}, map[string]any{}, map[string]any{}}}},
			3 * limits.GroupsPerAccount,
		},
	} {
		doc, errs := gqlparser.LoadQueryWithRules(schema, tt.query, nil)
		if errs != nil {
			t.Errorf("%s: %v", tt.query, errs)
			continue
		}
		c := reckoning{pageDefault: limits.PageDefault, variables: tt.variables, fragments: map[spread]int{}}
		if got := c.of(doc.Operations[0].SelectionSet, 0); got != tt.want {
			t.Errorf("%.100s: %d, want %d", tt.query, got, tt.want)
		}
	}
}

// Ensure no list is forgotten: each below which there are pages says by `first`, by a list that is sent, or in lists, how many items it has.
func TestListsHaveALength(t *testing.T) {
	schema := parsedSchema()
	reaches := map[string]bool{} // types from which a page can be selected
	for changed := true; changed; {
		changed = false
		for _, def := range schema.Types {
			for _, f := range def.Fields {
				if to := f.Type.Name(); !reaches[def.Name] && !strings.HasPrefix(f.Name, "__") && (f.Arguments.ForName("first") != nil || reaches[to]) {
					reaches[def.Name], changed = true, true
				}
			}
			for _, one := range schema.GetPossibleTypes(def) {
				if !reaches[def.Name] && reaches[one.Name] {
					reaches[def.Name], changed = true, true
				}
			}
		}
	}
	if !reaches["Conversation"] || reaches["Region"] {
		t.Fatal("what has pages is not told from what has none")
	}
	used := 0
	for _, def := range schema.Types {
		if def.Kind == ast.InputObject || strings.HasSuffix(def.Name, "Connection") || strings.HasSuffix(def.Name, "Payload") {
			continue // sizes are those of the page, and of what was sent
		}
		for _, f := range def.Fields {
			if f.Type.Elem == nil || !reaches[f.Type.Name()] || strings.HasPrefix(f.Name, "__") {
				continue
			}
			isSent := false
			for _, arg := range f.Arguments {
				isSent = isSent || arg.Name == "first" || arg.Type.Elem != nil
			}
			if strings.HasSuffix(def.Name, "Feed") && f.Name == "events" {
				continue // the page of the field that has `first`
			}
			_, isListed := lists[def.Name+"."+f.Name]
			if isListed {
				used++
			}
			if isListed == isSent {
				t.Errorf("how many items has %s?", fmt.Sprint(def.Name, ".", f.Name))
			}
		}
	}
	if used != len(lists) {
		t.Errorf("%d of %d lists are there", used, len(lists))
	}
}
