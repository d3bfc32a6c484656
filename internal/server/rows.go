package server

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/limits"
	"clientele/models"
)

// rows refuses operations that ask for more rows than limits.QueryRows before anything is read:
// pages inside pages multiply. A fragment is reckoned once, however often it is spread.
type rows struct {
	pageDefault int
	present     func(context.Context, error) *gqlerror.Error
}

// ExtensionName implements graphql.HandlerExtension.
func (rows) ExtensionName() string { return "Rows" }

// Validate implements graphql.HandlerExtension.
func (rows) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (r rows) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	c := reckoning{pageDefault: r.pageDefault, variables: op.Variables, fragments: map[spread]int{}}
	n := c.of(op.Operation.SelectionSet, 0)
	op.Stats.SetExtension(costName, n)
	if n > limits.QueryRows {
		return r.present(ctx, models.TooMany("query", limits.QueryRows,
			"asks for more than %d rows, counting pages inside pages; ask for smaller ones", limits.QueryRows))
	}
	return nil
}

// costName is what the rows of an operation are called in the answer's extensions.
const costName = "cost"

// withCost tells in an answer how many rows its operation might have read, and how many one may (rule X2).
func withCost(op *graphql.OperationContext, r *graphql.Response) {
	n, ok := op.Stats.GetExtension(costName).(int)
	if r == nil || !ok {
		return
	}
	extensions := make(map[string]any, len(r.Extensions)+1)
	maps.Copy(extensions, r.Extensions)
	extensions[costName] = map[string]any{"rows": n, "limit": limits.QueryRows}
	r.Extensions = extensions
}

// lists are the most items of the lists below which there are pages, and for which neither `first` nor a list that was sent says how
// many they are.
var lists = map[string]int{
	"Advisor.groups": limits.GroupsPerAccount,
}

type reckoning struct {
	pageDefault int
	variables   map[string]any
	fragments   map[spread]int
}

// spread is a fragment where so many items were sent: below them it has as many results.
type spread struct {
	name string
	sent int
}

// of is the most rows a selection reads: a field with `first` reads a page, and below each of its items whatever is selected there. Below
// the items of another list it is the same, but the list itself counts nothing: nodes by id, and the results of what was sent. sent is how
// many items were sent to the field around.
func (c *reckoning) of(set ast.SelectionSet, sent int) int {
	sum := 0
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			sum += c.field(sel, sent)
		case *ast.InlineFragment:
			sum += c.of(sel.SelectionSet, sent)
		case *ast.FragmentSpread:
			key := spread{sel.Name, sent}
			n, seen := c.fragments[key]
			if !seen && sel.Definition != nil {
				n = c.of(sel.Definition.SelectionSet, sent)
				c.fragments[key] = n
			}
			sum += n
		}
		sum = min(sum, most)
	}
	return sum
}

func (c *reckoning) field(f *ast.Field, sent int) int {
	if f.Definition == nil || len(f.SelectionSet) == 0 {
		return 0
	}
	if f.Definition.Arguments.ForName("first") != nil {
		return c.first(f) * (1 + c.of(f.SelectionSet, 0))
	}
	if len(f.Arguments) > 0 {
		sent = max(sent, longest(f.ArgumentMap(c.variables)))
	}
	switch {
	case f.Definition.Type.Elem == nil:
		return c.of(f.SelectionSet, sent)
	case strings.HasSuffix(f.ObjectDefinition.Name, "Connection"): // the items of the page, which its field has multiplied
		return c.of(f.SelectionSet, 0)
	}
	return max(1, sent, lists[f.ObjectDefinition.Name+"."+f.Name]) * c.of(f.SelectionSet, 0)
}

// longest is how many items the longest list in a value has.
func longest(value any) int {
	n := 0
	switch value := value.(type) {
	case []any:
		n = len(value)
		for _, item := range value {
			n = max(n, longest(item))
		}
	case map[string]any:
		for _, item := range value {
			n = max(n, longest(item))
		}
	}
	return n
}

// first is the page that a field asks for; out of bounds it counts as one, since its resolver
// refuses it.
func (c *reckoning) first(f *ast.Field) int {
	n := c.pageDefault
	switch v := f.ArgumentMap(c.variables)["first"].(type) {
	case int64:
		n = int(v)
	case int:
		n = v
	case json.Number:
		if i, err := v.Int64(); err == nil {
			n = int(i)
		}
	}
	if n < 1 || n > limits.MessagesPage {
		return 1
	}
	return n
}
