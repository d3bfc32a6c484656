package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// marshalSlice resolves the items of a list one after the other (ADR 0019): the list's resolver has
// read what they show. An item that panics is an error at its path, and null.
func marshalSlice(ctx context.Context, length int, item func(ctx context.Context, i int) graphql.Marshaler) graphql.Array {
	items := make(graphql.Array, length)
	for i := range items {
		items[i] = recovering(graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i}), i, item)
	}
	return items
}

func recovering(ctx context.Context, i int, item func(context.Context, int) graphql.Marshaler) (m graphql.Marshaler) {
	defer func() {
		if p := recover(); p != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, p))
			m = graphql.Null
		}
	}()
	return item(ctx, i)
}
