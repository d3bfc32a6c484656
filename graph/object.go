package graph

import (
	"io"

	"github.com/99designs/gqlgen/graphql"
)

// object gathers the fields of an object in the order in which they were asked for. It stands
// where gqlgen has a graphql.FieldSet, which can also wait for fields that are resolved side by
// side, and allocates for each field that it writes.
type object struct {
	fields   []graphql.CollectedField
	Values   []graphql.Marshaler
	Invalids uint32 // fields that are null and must not be
}

func newObject(fields []graphql.CollectedField) *object {
	return &object{fields: fields, Values: make([]graphql.Marshaler, len(fields))}
}

// MarshalGQL writes the object; a name that two fragments ask for is written once.
func (o *object) MarshalGQL(w io.Writer) {
	const some = 64 // bytes of a small one
	b := make([]byte, 0, some)
	b = append(b, '{')
	for i := range o.fields {
		name := o.fields[i].Alias
		if o.has(i, name) {
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...) // a GraphQL name has nothing to escape
		b = append(b, '"', ':')
		_, _ = w.Write(b)
		o.Values[i].MarshalGQL(w)
		b = b[:0]
	}
	_, _ = w.Write(append(b, '}'))
}

// has reports whether a field before the i-th has this name.
func (o *object) has(i int, name string) bool {
	for j := range i {
		if o.fields[j].Alias == name {
			return true
		}
	}
	return false
}
