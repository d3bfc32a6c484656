package graph

import (
	"reflect"
	"sync"

	"github.com/99designs/gqlgen/graphql"
)

// inputs is what inputMap made.
var inputs struct {
	once sync.Once
	made map[reflect.Type]reflect.Value
}

// inputMap is graphql.BuildUnmarshalerMap, made once: gqlgen makes it for each execution, and the
// functions that read input types are always the same. Nobody changes it.
func inputMap(functions ...any) map[reflect.Type]reflect.Value {
	inputs.once.Do(func() { inputs.made = graphql.BuildUnmarshalerMap(functions...) })
	return inputs.made
}
