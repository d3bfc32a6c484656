package server

import (
	"context"
	"fmt"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/models"
)

// variables holds of values that come in variables what the validator holds of literals only: @oneOf (rule E14), where a field that
// is given as null is given; that a value of an enum is written as the schema writes it; and that a number is no text, nor a text a number.
type variables struct {
	schema  *ast.Schema
	present func(context.Context, error) *gqlerror.Error
}

// ExtensionName implements graphql.HandlerExtension.
func (variables) ExtensionName() string { return "Variables" }

// Validate implements graphql.HandlerExtension.
func (variables) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator.
func (e variables) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		value, given := op.Variables[v.Variable]
		if !given {
			continue
		}
		if err := e.check(v.Type, value, ""); err != nil {
			err.Field = argumentOf(op.Operation.SelectionSet, v.Variable) + err.Field
			return e.present(ctx, err)
		}
	}
	return nil
}

// check reports what is wrong with a value; the error's Field is where below the value.
func (e variables) check(t *ast.Type, value any, path string) *models.Error {
	if list, ok := value.([]any); ok && t.Elem != nil {
		for i, item := range list {
			if err := e.check(t.Elem, item, fmt.Sprintf("%s.%d", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	def := e.schema.Types[t.Name()]
	if def == nil || value == nil {
		return nil
	}
	switch def.Kind {
	case ast.Enum:
		if text := fmt.Sprint(value); def.EnumValues.ForName(text) == nil {
			return models.Invalid(path, "is %q, which is no value of %s", text, def.Name)
		}
	case ast.InputObject:
		if fields, ok := value.(map[string]any); ok {
			return e.object(def, fields, path)
		}
	case ast.Scalar:
		_, isText := value.(string)
		if isNumber := def.Name == "Int" || def.Name == "Float"; isNumber && isText || def.Name == "String" && !isText {
			return models.Invalid(path, "is no %s", def.Name)
		}
	case ast.Object, ast.Interface, ast.Union:
	}
	return nil
}

func (e variables) object(def *ast.Definition, fields map[string]any, path string) *models.Error {
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
			if err := e.check(f.Type, v, path+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// fieldOfVariable is the argument at fault where a variable could not be read: the error has its path below the variable. Empty for any
// other error.
func fieldOfVariable(ctx context.Context, path ast.Path) string {
	const named = 2 // "variable" and its name
	if len(path) < named || path[0] != ast.PathName("variable") || !graphql.HasOperationContext(ctx) {
		return ""
	}
	op := graphql.GetOperationContext(ctx)
	if op.Operation == nil {
		return ""
	}
	name := fmt.Sprint(path[1])
	field := argumentOf(op.Operation.SelectionSet, name)
	for _, p := range path[named:] {
		field += "." + fmt.Sprint(p)
	}
	return field
}

// argumentOf is the path of the argument that a variable is given to, the first one; what clients call their variables is nothing to tell an
// error by. It is the variable's own name where it is used for no argument.
func argumentOf(set ast.SelectionSet, variable string) string {
	if path := usedIn(set, variable, map[string]bool{}); path != "" {
		return path
	}
	return variable
}

// usedIn is where a selection uses a variable first, empty: nowhere. A fragment is looked through once.
func usedIn(set ast.SelectionSet, variable string, seen map[string]bool) string {
	for _, sel := range set {
		path := ""
		switch sel := sel.(type) {
		case *ast.Field:
			for _, arg := range sel.Arguments {
				if path == "" {
					path = usedAt(arg.Value, variable, arg.Name)
				}
			}
			if path == "" {
				path = usedIn(sel.SelectionSet, variable, seen)
			}
		case *ast.InlineFragment:
			path = usedIn(sel.SelectionSet, variable, seen)
		case *ast.FragmentSpread:
			if !seen[sel.Name] && sel.Definition != nil {
				seen[sel.Name] = true
				path = usedIn(sel.Definition.SelectionSet, variable, seen)
			}
		}
		if path != "" {
			return path
		}
	}
	return ""
}

// usedAt is where below path a value has the variable; empty: nowhere.
func usedAt(v *ast.Value, variable, path string) string {
	if v.Kind == ast.Variable {
		if v.Raw == variable {
			return path
		}
		return ""
	}
	for i, child := range v.Children {
		name := child.Name
		if v.Kind == ast.ListValue {
			name = strconv.Itoa(i)
		}
		if at := usedAt(child.Value, variable, path+"."+name); at != "" {
			return at
		}
	}
	return ""
}
