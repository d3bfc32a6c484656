package schema_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gql "github.com/vektah/gqlparser/v2/ast"

	"clientele/schema"
)

// Ensure every enum of the schema has exactly the values of the Go type of the same name in
// models: the generated code casts between the two and checks nothing on the way out.
func TestEnumsEqualConstants(t *testing.T) {
	s, inModels := mustLoad(t, schema.SDL()), mustCheck(t, "../models")
	n := 0
	for _, name := range slices.Sorted(keys(s.Types)) {
		d := s.Types[name]
		if d.Kind != gql.Enum || d.BuiltIn {
			continue
		}
		n++
		var said []string
		for _, v := range d.EnumValues {
			said = append(said, v.Name)
		}
		wantSame(t, "enum "+name, said, "models."+name, constantsOf(t, inModels, name))
	}
	if n == 0 {
		t.Fatal("the schema has no enum: this test looks in the wrong place")
	}
}

// Ensure the roles of tokens are those the API shows.
func TestRolesEqual(t *testing.T) {
	wantSame(t, "models.Role", constantsOf(t, mustCheck(t, "../models"), "Role"),
		"auth.Role", constantsOf(t, mustCheck(t, "../auth"), "Role"))
}

func wantSame(tb testing.TB, left string, a []string, right string, b []string) {
	tb.Helper()
	for _, v := range a {
		if !slices.Contains(b, v) {
			tb.Errorf("%s has %s, %s has not", left, v, right)
		}
	}
	for _, v := range b {
		if !slices.Contains(a, v) {
			tb.Errorf("%s has %s, %s has not", right, v, left)
		}
	}
}

// constantsOf is the values of a package's constants of a named string type, by whatever alias.
func constantsOf(tb testing.TB, p *types.Package, name string) []string {
	tb.Helper()
	object := p.Scope().Lookup(name)
	if object == nil {
		tb.Errorf("there is no %s.%s", p.Name(), name)
		return nil
	}
	want := types.Unalias(object.Type())
	var values []string
	for _, n := range p.Scope().Names() {
		if c, ok := p.Scope().Lookup(n).(*types.Const); ok && types.Identical(types.Unalias(c.Type()), want) {
			values = append(values, constant.StringVal(c.Val()))
		}
	}
	if len(values) == 0 {
		tb.Errorf("%s.%s has no constants", p.Name(), name)
	}
	return values
}

// nothingImported answers every import with an empty package: constants of a string type need
// none, and the type checker goes on where something does.
type nothingImported struct{}

func (nothingImported) Import(path string) (*types.Package, error) {
	return types.NewPackage(path, filepath.Base(path)), nil
}

func mustCheck(tb testing.TB, dir string) *types.Package {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		tb.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		f, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, f)
	}
	config := types.Config{Importer: nothingImported{}, Error: func(error) {}, IgnoreFuncBodies: true}
	p, _ := config.Check(dir, set, files, nil) // what the missing imports break is none of our names.
	return p
}
