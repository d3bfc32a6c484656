package services_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"clientele/schema"
	"clientele/services"
)

// Ensure each root field of the schema has a permission of the same roles, and no permission is
// without its field: who may do what is said in two places and decided in one.
func TestPermissionsAreTheSchemas(t *testing.T) {
	s := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	wanted := map[string][]string{}
	for _, root := range []*ast.Definition{s.Query, s.Mutation, s.Subscription} {
		for _, f := range root.Fields {
			if d := f.Directives.ForName("allow"); d != nil {
				var roles []string
				for _, c := range d.Arguments.ForName("roles").Value.Children {
					roles = append(roles, c.Value.Raw)
				}
				slices.Sort(roles)
				if have, ok := wanted[f.Name]; ok && !slices.Equal(have, roles) {
					t.Errorf("%s has other roles in another root", f.Name)
				}
				wanted[f.Name] = roles
			}
		}
	}
	for _, p := range services.Permissions() {
		var roles []string
		for _, r := range p.Roles {
			roles = append(roles, string(r))
		}
		slices.Sort(roles)
		if fmt.Sprint(roles) != fmt.Sprint(wanted[p.Field]) {
			t.Errorf("%s: the policy says %v, the schema %v", p.Field, roles, wanted[p.Field])
		}
		delete(wanted, p.Field)
	}
	for field := range wanted {
		t.Errorf("%s has no permission", field)
	}
}
