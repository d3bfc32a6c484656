package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// marshalSlice resolves the items of a list one after the other (ADR 0019): their resolver has read
// what they show. A panic in an item is recovered there and makes the list null, as gqlgen has it.
func marshalSlice(ctx context.Context, length int, item func(ctx context.Context, i int) graphql.Marshaler) graphql.Array {
	items := make(graphql.Array, length)
	whole := true
	for i := range items {
		ctx := graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i})
		if !recovering(ctx, func() { items[i] = item(ctx, i) }) {
			whole = false
		}
	}
	if !whole {
		return nil
	}
	return items
}

// recovering reports whether f returned.
func recovering(ctx context.Context, f func()) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, p))
		}
	}()
	f()
	return true
}
