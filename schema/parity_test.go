package schema_test

import (
	"slices"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/internal/testkit"
	"clientele/schema"
)

// Ensure every enum of the schema has exactly the values of the Go type of the same name in
// models: the generated code casts between the two and checks nothing on the way out.
func TestEnumsEqualConstants(t *testing.T) {
	s := mustLoad(t, schema.SDL())
	n := 0
	for _, name := range slices.Sorted(keys(s.Types)) {
		d := s.Types[name]
		if d.Kind != ast.Enum || d.BuiltIn {
			continue
		}
		n++
		var said []string
		for _, v := range d.EnumValues {
			said = append(said, v.Name)
		}
		wantSame(t, "enum "+name, said, "models."+name, testkit.Constants(t, "../models", name))
	}
	if n == 0 {
		t.Fatal("the schema has no enum: this test looks in the wrong place")
	}
}

// Ensure the roles of tokens are those the API shows.
func TestRolesEqual(t *testing.T) {
	wantSame(t, "models.Role", testkit.Constants(t, "../models", "Role"), "auth.Role", testkit.Constants(t, "../auth", "Role"))
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
