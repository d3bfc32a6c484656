package server

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/models"
)

// oneOf holds @oneOf for values that come in variables; the validator holds it for literals
// only (rule E14). A field that is given as null is given.
type oneOf struct {
	schema  *ast.Schema
	present func(context.Context, error) *gqlerror.Error
}

// ExtensionName implements graphql.HandlerExtension.
func (oneOf) ExtensionName() string { return "OneOf" }

// Validate implements graphql.HandlerExtension.
func (oneOf) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (o oneOf) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		if err := o.check(v.Type, op.Variables[v.Variable], v.Variable); err != nil {
			return o.present(ctx, err)
		}
	}
	return nil
}

func (o oneOf) check(t *ast.Type, value any, path string) error {
	if list, ok := value.([]any); ok && t.Elem != nil {
		for i, item := range list {
			if err := o.check(t.Elem, item, fmt.Sprintf("%s.%d", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	def := o.schema.Types[t.Name()]
	fields, ok := value.(map[string]any)
	if !ok || def == nil || def.Kind != ast.InputObject {
		return nil
	}
	if def.Directives.ForName("oneOf") != nil {
		for _, v := range fields {
			if len(fields) != 1 || v == nil {
				return models.Invalid(path, "must have exactly one field, and that not null")
			}
		}
		if len(fields) == 0 {
			return models.Invalid(path, "must have exactly one field")
		}
	}
	for name, v := range fields {
		if f := def.Fields.ForName(name); f != nil {
			if err := o.check(f.Type, v, path+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}
