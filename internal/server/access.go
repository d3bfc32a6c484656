package server

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/auth"
	"clientele/models"
)

// access refuses what is not allowed by name: every root field an operation selects, through
// fragments too, must carry @allow with the viewer's role. It runs when an operation opens,
// for subscriptions as for the others (gqlgen's root-field interceptors do not run for those).
type access struct {
	schema  *ast.Schema
	present func(context.Context, error) *gqlerror.Error
	// viewer is the viewer of a request, or why there is none.
	viewer func(context.Context) (*auth.Viewer, error)
}

// ExtensionName implements graphql.HandlerExtension.
func (access) ExtensionName() string { return "Access" }

// Validate implements graphql.HandlerExtension.
func (access) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator: who brings no token is
// refused before anything is parsed.
func (a access) MutateOperationParameters(ctx context.Context, _ *graphql.RawParams) *gqlerror.Error {
	_, err := a.authenticated(ctx)
	return err
}

func (a access) authenticated(ctx context.Context) (*auth.Viewer, *gqlerror.Error) {
	v, err := a.viewer(ctx)
	if err == nil && v == nil {
		err = models.Errorf(models.CodeUnauthenticated, "a token is required")
	}
	if err != nil {
		return nil, a.present(ctx, err)
	}
	return v, nil
}

// MutateOperationContext implements graphql.OperationContextMutator.
func (a access) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	v, refused := a.authenticated(ctx)
	if refused != nil {
		return refused
	}
	op.DisableIntrospection = false
	root := a.schema.Query
	switch op.Operation.Operation {
	case ast.Mutation:
		root = a.schema.Mutation
	case ast.Subscription:
		root = a.schema.Subscription
	case ast.Query:
	}
	for _, name := range rootFields(op.Operation.SelectionSet) {
		if !allowed(root.Fields.ForName(name), v.Role) {
			return a.present(ctx, models.Errorf(models.CodeForbidden, "%s is not for %s", name, v.Role))
		}
	}
	return nil
}

// rootFields names the fields of a root selection, fragments included, whatever their @skip
// says. Introspection is everybody's who has a token.
func rootFields(set ast.SelectionSet) (names []string) {
	walk(set, func(f *ast.Field) bool {
		if f.Name != "__typename" && f.Name != "__schema" && f.Name != "__type" {
			names = append(names, f.Name)
		}
		return false
	})
	return names
}

func allowed(f *ast.FieldDefinition, role auth.Role) bool {
	if f == nil {
		return false
	}
	d := f.Directives.ForName("allow")
	if d == nil {
		return false
	}
	arg := d.Arguments.ForName("roles")
	if arg == nil {
		return false
	}
	for _, child := range arg.Value.Children {
		if child.Value.Raw == string(role) {
			return true
		}
	}
	return false
}

// selects reports whether a query selects a field, at its root or anywhere below.
func selects(op *graphql.OperationContext, field string) (found bool) {
	walk(op.Operation.SelectionSet, func(f *ast.Field) bool {
		found = found || f.Name == field
		return !found
	})
	return found
}

// walk visits the fields of a selection, fragments included, and below each for which visit says so. A fragment is looked at once, however
// often it is spread: fragments that spread one another twice would take twice as long with each.
func walk(set ast.SelectionSet, visit func(*ast.Field) (below bool)) {
	spread := map[string]bool{}
	var in func(ast.SelectionSet)
	in = func(set ast.SelectionSet) {
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				if visit(sel) {
					in(sel.SelectionSet)
				}
			case *ast.InlineFragment:
				in(sel.SelectionSet)
			case *ast.FragmentSpread:
				if again := spread[sel.Name]; !again && sel.Definition != nil {
					spread[sel.Name] = true
					in(sel.Definition.SelectionSet)
				}
			}
		}
	}
	in(set)
}
