package transport

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// operationContext is what the executor wants for one execution: the template's, or one of the operation's own where its client sent
// extensions.
func (o *operation) operationContext() *graphql.OperationContext {
	t := o.template
	if len(o.extensions) == 0 {
		return t.opCtx
	}
	opCtx := copyOperation(t.opCtx)
	opCtx.Extensions = o.extensions
	return opCtx
}

// copyOperation copies what the opening made of an operation, without the cache of an execution.
func copyOperation(opCtx *graphql.OperationContext) *graphql.OperationContext {
	return &graphql.OperationContext{
		RawQuery:               opCtx.RawQuery,
		OperationName:          opCtx.OperationName,
		Variables:              opCtx.Variables,
		Doc:                    opCtx.Doc,
		Operation:              opCtx.Operation,
		DisableIntrospection:   opCtx.DisableIntrospection,
		RecoverFunc:            opCtx.RecoverFunc,
		ResolverMiddleware:     opCtx.ResolverMiddleware,
		RootResolverMiddleware: opCtx.RootResolverMiddleware,
	}
}

// templateKey is what makes two subscriptions the same but for their viewers and for the arguments of the root field.
type templateKey struct {
	exec                 graphql.GraphExecutor
	query                string
	name                 string
	disableIntrospection bool
	// variables are, as JSON, the values of those variables that are used elsewhere than in the root field's arguments.
	variables string
}

// template is what parked subscriptions share.
type template struct {
	key templateKey
	// opCtx serves the executions of all: what it keeps of the document is found out once. Nobody changes it.
	opCtx *graphql.OperationContext
	uses  int // guarded by the mu of templates
}

// safely runs f, which is the application's, outside of an execution. It reports false where f panicked, after telling the recover function.
func (t *template) safely(ctx context.Context, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			_ = recovered(ctx, t.opCtx, p) // told to who logs panics; the caller is told by ok.
		}
	}()
	f()
	return true
}

// templates holds one template for each document, operation and choice of variables that is parked anywhere. The zero value is empty.
type templates struct {
	mu    sync.Mutex
	byKey map[templateKey]*template
}

func (t *templates) acquire(exec graphql.GraphExecutor, opCtx *graphql.OperationContext) *template {
	key := templateKey{exec, opCtx.RawQuery, opCtx.OperationName, opCtx.DisableIntrospection, innerVariables(opCtx)}
	t.mu.Lock()
	defer t.mu.Unlock()
	shared := t.byKey[key]
	if shared == nil {
		shared = &template{key: key, opCtx: copyOperation(opCtx)}
		if shared.opCtx.Variables == nil {
			shared.opCtx.Variables = map[string]any{}
		}
		if t.byKey == nil {
			t.byKey = make(map[templateKey]*template)
		}
		t.byKey[key] = shared
	}
	shared.uses++
	return shared
}

func (t *templates) release(shared *template) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shared.uses--; shared.uses == 0 {
		delete(t.byKey, shared.key)
	}
}

// innerVariables is templateKey.variables of an operation; empty where there are none.
func innerVariables(opCtx *graphql.OperationContext) string {
	if len(opCtx.Variables) == 0 {
		return ""
	}
	names := usedVariables{doc: opCtx.Doc}
	names.in(opCtx.Operation.SelectionSet, true)
	if len(names.found) == 0 {
		return ""
	}
	slices.Sort(names.found)
	values := make([]any, 0, 2*len(names.found)) // a name and its value, in turn
	for _, name := range slices.Compact(names.found) {
		// A variable that is not given is not the same as null: it leaves a default in force.
		if value, given := opCtx.Variables[name]; given {
			values = append(values, name, value)
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		// A variable that is no JSON came by another way than a client's message; nobody has the same.
		return opCtx.RawQuery
	}
	return string(text)
}

// usedVariables gathers the variables that a selection uses, but for those in the arguments of the root fields.
type usedVariables struct {
	doc    *ast.QueryDocument
	spread []string
	found  []string
}

func (u *usedVariables) in(set ast.SelectionSet, root bool) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if !root {
				u.arguments(s.Arguments)
			}
			u.directives(s.Directives)
			u.in(s.SelectionSet, false)
		case *ast.InlineFragment:
			u.directives(s.Directives)
			u.in(s.SelectionSet, root)
		case *ast.FragmentSpread:
			u.directives(s.Directives)
			if fragment := u.doc.Fragments.ForName(s.Name); fragment != nil && !slices.Contains(u.spread, s.Name) {
				u.spread = append(u.spread, s.Name)
				u.in(fragment.SelectionSet, root)
			}
		}
	}
}

func (u *usedVariables) directives(list ast.DirectiveList) {
	for _, d := range list {
		u.arguments(d.Arguments)
	}
}

func (u *usedVariables) arguments(list ast.ArgumentList) {
	for _, a := range list {
		u.value(a.Value)
	}
}

func (u *usedVariables) value(v *ast.Value) {
	if v == nil {
		return
	}
	if v.Kind == ast.Variable {
		u.found = append(u.found, v.Raw)
	}
	for _, child := range v.Children {
		u.value(child.Value)
	}
}
