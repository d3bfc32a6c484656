package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Ensure an object is written as JSON, and a name that two fragments ask for once.
func TestObject(t *testing.T) {
	field := func(alias string) graphql.CollectedField {
		return graphql.CollectedField{Field: &ast.Field{Name: "x", Alias: alias}}
	}
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{nil, `{}`},
		{[]string{"a"}, `{"a":0}`},
		{[]string{"a", "b", "c"}, `{"a":0,"b":1,"c":2}`},
		{[]string{"a", "b", "a", "c", "b"}, `{"a":0,"b":1,"c":3}`},
	} {
		var fields []graphql.CollectedField
		for _, n := range tt.names {
			fields = append(fields, field(n))
		}
		o := newObject(fields)
		for i := range o.Values {
			o.Values[i] = graphql.MarshalInt(i)
		}
		var b strings.Builder
		o.MarshalGQL(&b)
		if b.String() != tt.want {
			t.Errorf("%v: %s, want %s", tt.names, b.String(), tt.want)
		}
	}
}

// Ensure the items of a list are resolved in order, each under its index, and that a panic in one is
// an error at its path, and null.
func TestMarshalSlice(t *testing.T) {
	for _, tt := range []struct {
		length, panics int
		want           string
	}{
		{0, -1, `[]`}, {1, -1, `[0]`}, {3, -1, `[0,1,2]`}, {1, 0, `[null]`}, {3, 1, `[0,null,2]`},
	} {
		ctx := graphql.WithResponseContext(context.Background(), graphql.DefaultErrorPresenter,
			func(_ context.Context, p any) error { return errors.New(fmt.Sprint(p)) })
		resolved := 0
		list := marshalSlice(ctx, tt.length, func(ctx context.Context, i int) graphql.Marshaler {
			if i != resolved || *graphql.GetFieldContext(ctx).Index != i {
				t.Errorf("item %d, under index %d, came as number %d", i, *graphql.GetFieldContext(ctx).Index, resolved)
			}
			resolved++
			if i == tt.panics {
				panic("no")
			}
			return graphql.MarshalInt(i)
		})
		var b strings.Builder
		list.MarshalGQL(&b)
		errs := graphql.GetErrors(ctx)
		if b.String() != tt.want || resolved != tt.length || (len(errs) == 1) != (tt.panics >= 0) {
			t.Errorf("%+v: %s, %d resolved, errors %v", tt, b.String(), resolved, errs)
		}
		if len(errs) == 1 && errs[0].Path.String() != fmt.Sprintf("[%d]", tt.panics) {
			t.Errorf("%+v: at %q", tt, errs[0].Path)
		}
	}
}
