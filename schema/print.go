package schema

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// Printed is the whole schema as one document, as clients' tools read it: without extensions, with descriptions and the directives
// @allow, @specifiedBy, @oneOf and @deprecated; directives in the order of their names, then types. It is published as schema.graphql of
// the repository and at /schema.graphql. The same schema is always printed in the same bytes. It panics if the embedded files are no
// valid schema, which no build that passed a test has. Safe for concurrent use; printed once.
var Printed = sync.OnceValue(func() string {
	return Print(gqlparser.MustLoadSchema(&ast.Source{Name: "schema", Input: SDL()}))
})

// Print writes a schema as Printed has it. The formatter's own FormatSchema is not enough: it leaves out the schema's description, and
// sets nothing between two definitions.
func Print(s *ast.Schema) string {
	var b strings.Builder
	definition := func(doc ast.SchemaDocument) {
		var text strings.Builder
		formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchemaDocument(&doc)
		if text.Len() == 0 {
			return // built in
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		for line := range strings.Lines(text.String()) {
			b.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
	}
	head := ast.SchemaDefinition{Description: s.Description, Directives: s.SchemaDirectives}
	for _, root := range []struct {
		operation ast.Operation
		of        *ast.Definition
	}{{ast.Query, s.Query}, {ast.Mutation, s.Mutation}, {ast.Subscription, s.Subscription}} {
		if root.of != nil {
			head.OperationTypes = append(head.OperationTypes, &ast.OperationTypeDefinition{Operation: root.operation, Type: root.of.Name})
		}
	}
	definition(ast.SchemaDocument{Schema: ast.SchemaDefinitionList{&head}})
	for _, name := range slices.Sorted(maps.Keys(s.Directives)) {
		definition(ast.SchemaDocument{Directives: ast.DirectiveDefinitionList{s.Directives[name]}})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		definition(ast.SchemaDocument{Definitions: ast.DefinitionList{s.Types[name]}})
	}
	return b.String()
}
