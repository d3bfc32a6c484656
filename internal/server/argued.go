package server

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/limits"
	"clientele/models"
)

// argued refuses operations whose arguments are more than limits.QueryValues values, variables put in, before any of them is read: each field
// reads its own, so one long list is read as often as fields are given it. A fragment is counted once, however often it is spread, and its
// sum wherever it is.
type argued struct {
	present func(context.Context, error) *gqlerror.Error
}

// ExtensionName implements graphql.HandlerExtension.
func (argued) ExtensionName() string { return "Arguments" }

// Validate implements graphql.HandlerExtension.
func (argued) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (a argued) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	c := arguments{given: op.Variables, variables: map[string]int{}, fragments: map[string]int{}}
	if c.of(op.Operation.SelectionSet) > limits.QueryValues {
		return a.present(ctx, models.TooMany("query", limits.QueryValues, "has more than %d values in its arguments, variables put in", limits.QueryValues))
	}
	return nil
}

type arguments struct {
	given                map[string]any
	variables, fragments map[string]int // what was counted
}

// of is how many values the arguments of a selection hold.
func (c *arguments) of(set ast.SelectionSet) int {
	sum := 0
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			for _, arg := range sel.Arguments {
				sum += c.value(arg.Value)
			}
			sum += c.of(sel.SelectionSet)
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

func (c *arguments) value(v *ast.Value) int {
	if v.Kind == ast.Variable {
		n, seen := c.variables[v.Raw]
		if !seen {
			n = sizeOf(c.given[v.Raw])
			c.variables[v.Raw] = n
		}
		return n
	}
	n := 1
	for _, child := range v.Children {
		n += c.value(child.Value)
	}
	return n
}

// sizeOf is how many values there are in one, itself counted.
func sizeOf(value any) int {
	n := 1
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			n += sizeOf(item)
		}
	case map[string]any:
		for _, item := range value {
			n += sizeOf(item)
		}
	}
	return n
}
