package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"

	"clientele/models"
)

// form is how a field's value travels to the database and back.
type form int

const (
	formOther form = iota // by its driver.Valuer and sql.Scanner, or as database/sql likes it
	formKey
	formIdent
	formInt
	formString
	formBool
	formFloat
)

var (
	keyType    = reflect.TypeFor[models.Key]()
	identType  = reflect.TypeFor[models.Ident]()
	valuerType = reflect.TypeFor[driver.Valuer]()
)

func formOf(t reflect.Type) form {
	switch {
	case t == keyType:
		return formKey
	case t == identType:
		return formIdent
	case t.Implements(valuerType):
		return formOther
	}
	switch t.Kind() { //nolint:exhaustive // the rest is formOther.
	case reflect.Int64, reflect.Int, reflect.Int32:
		return formInt
	case reflect.String:
		return formString
	case reflect.Bool:
		return formBool
	case reflect.Float64:
		return formFloat
	}
	return formOther
}

// literal writes a row's value into a statement's text, if it is a key, an identifier, a number or NULL; a mark for any
// other, which it answers. The fewer values go beside the text, the less the driver has to do, and MariaDB reads a key
// in hexadecimal faster than its bytes in quotes (docs/performance.md).
func (c *column) literal(text []byte, row reflect.Value) (_ []byte, arg any, err error) {
	f := row.FieldByIndex(c.index)
	switch c.form {
	case formInt:
		return strconv.AppendInt(text, f.Int(), 10), nil, nil
	case formKey:
		if k, ok := f.Addr().Interface().(*models.Key); ok && !k.IsZero() {
			return hexadecimal(text, k[:]), nil, nil
		}
		return append(text, "NULL"...), nil, nil // is what the zero Key means.
	case formIdent:
		if f.Len() > 0 {
			return hexadecimal(text, []byte(f.String())), nil, nil
		}
		return append(text, "NULL"...), nil, nil // is what the empty Ident means.
	case formString:
		arg = f.String()
	case formBool:
		arg = f.Bool()
	case formFloat:
		arg = f.Float()
	case formOther:
		arg = f.Interface()
		if v, ok := arg.(driver.Valuer); ok {
			arg, err = v.Value()
		}
	}
	switch v := arg.(type) {
	case nil:
		return append(text, "NULL"...), nil, err
	case int64:
		return strconv.AppendInt(text, v, 10), nil, err
	}
	return append(text, '?'), arg, err
}

// hexadecimal writes bytes as both engines read them.
func hexadecimal(text, data []byte) []byte {
	return append(hex.AppendEncode(append(text, "X'"...), data), '\'')
}

// cells reads rows into fields, without what database/sql does to find out for each value what it
// is to become: on the write path that was a third of reading a row.
type cells struct {
	columns []*column
	// Texts and keys are taken as bytes and copied once, everything else as the driver has it.
	// NULL and no bytes are the same here: a key or identifier that is none, an empty text.
	bytes   []sql.RawBytes
	values  []any
	targets []any
}

// newCells reads rows of these columns; one that is nil is passed over.
func newCells(columns []*column) *cells {
	r := &cells{
		columns: columns, bytes: make([]sql.RawBytes, len(columns)), values: make([]any, len(columns)), targets: make([]any, len(columns)),
	}
	for i, c := range columns {
		r.targets[i] = &r.values[i]
		if c == nil || c.form == formKey || c.form == formIdent || c.form == formString {
			r.targets[i] = &r.bytes[i]
		}
	}
	return r
}

// next reads a row.
func (r *cells) next(rows *sql.Rows) error { return rows.Scan(r.targets...) }

// into puts the cells from the given one on into the fields of row, a pointer at a struct.
func (r *cells) into(row any, from int) error { return r.fill(row, from, len(r.columns)) }

// fill is into up to a cell.
func (r *cells) fill(row any, from, to int) error {
	v := reflect.ValueOf(row).Elem()
	for i := from; i < to; i++ {
		c := r.columns[i]
		if c == nil {
			continue
		}
		if err := r.set(v.FieldByIndex(c.index), i); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	return nil
}

// set puts a cell into a field.
func (r *cells) set(f reflect.Value, i int) error {
	switch r.columns[i].form {
	case formKey:
		k, ok := f.Addr().Interface().(*models.Key)
		if !ok {
			return fmt.Errorf("a key cannot be read into %s", f.Type())
		}
		return k.Scan([]byte(r.bytes[i]))
	case formIdent, formString:
		f.SetString(string(r.bytes[i]))
		return nil
	case formInt, formBool, formFloat:
		return setNumber(f, r.values[i])
	case formOther:
	}
	if s, ok := f.Addr().Interface().(sql.Scanner); ok {
		return s.Scan(r.values[i])
	}
	if b, ok := r.values[i].([]byte); (ok || r.values[i] == nil) && f.Kind() == reflect.Slice {
		f.SetBytes(b)
		return nil
	}
	return fmt.Errorf("%T cannot be read into %s", r.values[i], f.Type())
}

func setNumber(f reflect.Value, value any) error {
	switch v := value.(type) {
	case int64:
		switch {
		case f.CanInt():
			f.SetInt(v)
		case f.CanFloat():
			f.SetFloat(float64(v))
		default:
			f.SetBool(v != 0)
		}
		return nil
	case float64:
		if f.CanFloat() {
			f.SetFloat(v)
			return nil
		}
	case bool:
		if f.Kind() == reflect.Bool {
			f.SetBool(v)
			return nil
		}
	case []byte:
		return parseNumber(f, string(v))
	}
	return fmt.Errorf("%T cannot be read into %s", value, f.Type())
}

// parseNumber reads a number that the driver left as text: of an expression, or as another
// version of it has numbers.
func parseNumber(f reflect.Value, text string) error {
	const bits = 64
	if f.CanFloat() {
		n, err := strconv.ParseFloat(text, bits)
		f.SetFloat(n)
		return err
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return err
	}
	return setNumber(f, n)
}
