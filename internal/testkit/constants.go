package testkit

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Constants is the sorted values of the constants of a named string type, read from the source
// of the package in folder dir, so that no test keeps a list of them. An alias names its type.
func Constants(tb testing.TB, dir, name string) []string {
	tb.Helper()
	scope := check(tb, dir).Scope()
	object := scope.Lookup(name)
	if object == nil {
		tb.Errorf("%s has no %s", dir, name)
		return nil
	}
	want := types.Unalias(object.Type())
	var values []string
	for _, n := range scope.Names() {
		if c, ok := scope.Lookup(n).(*types.Const); ok && types.Identical(types.Unalias(c.Type()), want) {
			values = append(values, constant.StringVal(c.Val()))
		}
	}
	if len(values) == 0 {
		tb.Errorf("%s.%s has no constants", dir, name)
	}
	slices.Sort(values)
	return values
}

// emptyPackages answers every import with an empty package: constants of a string type need
// none, and the type checker goes on where something does.
type emptyPackages struct{}

func (emptyPackages) Import(p string) (*types.Package, error) {
	return types.NewPackage(p, path.Base(p)), nil
}

func check(tb testing.TB, dir string) *types.Package {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		tb.Fatalf("no Go files in %s: %v", dir, err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, f)
	}
	config := types.Config{Importer: emptyPackages{}, Error: func(error) {}, IgnoreFuncBodies: true}
	p, _ := config.Check(dir, set, files, nil) // what the empty imports break is none of the constants.
	return p
}
