package transport

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// stripDefer makes an operation that uses @defer one that does not. A server may ignore @defer, and these transports send one response for
// one execution: without this, the deferred part would be lost and fields that cannot be null would be. The document may be shared by way of
// the executor's query cache, so what changes is copied.
func stripDefer(opCtx *graphql.OperationContext) {
	if opCtx.Doc == nil || opCtx.Operation == nil {
		return
	}
	uses := usesDefer(opCtx.Operation.SelectionSet)
	for _, fragment := range opCtx.Doc.Fragments {
		uses = uses || usesDefer(fragment.SelectionSet)
	}
	if !uses {
		return
	}
	doc := *opCtx.Doc
	doc.Fragments = make(ast.FragmentDefinitionList, len(opCtx.Doc.Fragments))
	for i, fragment := range opCtx.Doc.Fragments {
		plain := *fragment
		plain.SelectionSet = withoutDefer(fragment.SelectionSet)
		doc.Fragments[i] = &plain
	}
	operation := *opCtx.Operation
	operation.SelectionSet = withoutDefer(operation.SelectionSet)
	doc.Operations = ast.OperationList{&operation}
	opCtx.Doc, opCtx.Operation = &doc, &operation
}

func usesDefer(set ast.SelectionSet) bool {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if usesDefer(s.SelectionSet) {
				return true
			}
		case *ast.InlineFragment:
			if s.Directives.ForName("defer") != nil || usesDefer(s.SelectionSet) {
				return true
			}
		case *ast.FragmentSpread:
			if s.Directives.ForName("defer") != nil {
				return true
			}
		}
	}
	return false
}

func withoutDefer(set ast.SelectionSet) ast.SelectionSet {
	if set == nil {
		return nil
	}
	plain := make(ast.SelectionSet, len(set))
	for i, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			field := *s
			field.SelectionSet = withoutDefer(s.SelectionSet)
			plain[i] = &field
		case *ast.InlineFragment:
			fragment := *s
			fragment.Directives = otherThanDefer(s.Directives)
			fragment.SelectionSet = withoutDefer(s.SelectionSet)
			plain[i] = &fragment
		case *ast.FragmentSpread:
			spread := *s
			spread.Directives = otherThanDefer(s.Directives)
			plain[i] = &spread
		}
	}
	return plain
}

func otherThanDefer(directives ast.DirectiveList) ast.DirectiveList {
	var others ast.DirectiveList
	for _, directive := range directives {
		if directive.Name != "defer" {
			others = append(others, directive)
		}
	}
	return others
}
