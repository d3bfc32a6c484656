package server

import (
	"context"
	"encoding/json"
	"maps"

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
	c := reckoning{pageDefault: r.pageDefault, variables: op.Variables, fragments: map[string]int{}}
	n := c.of(op.Operation.SelectionSet)
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

type reckoning struct {
	pageDefault int
	variables   map[string]any
	fragments   map[string]int
}

// of is the most rows a selection reads: a field with `first` reads a page, and below each of
// its items whatever is selected there.
func (c *reckoning) of(set ast.SelectionSet) int {
	sum := 0
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			n := c.of(sel.SelectionSet)
			if sel.Definition != nil && sel.Definition.Arguments.ForName("first") != nil {
				n = c.first(sel) * (1 + n)
			}
			sum += n
		case *ast.InlineFragment:
			sum += c.of(sel.SelectionSet)
		case *ast.FragmentSpread:
			n, seen := c.fragments[sel.Name]
			if !seen && sel.Definition != nil {
				n = c.of(sel.Definition.SelectionSet)
				c.fragments[sel.Name] = n
			}
			sum += n
		}
		sum = min(sum, most)
	}
	return sum
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
