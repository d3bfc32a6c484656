package store

import (
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"clientele/limits"
	"clientele/migrations"
	"clientele/models"
)

// table is how the rows of one type lie in the database, read once from the type's tags. Rows
// go in and out through it, without the mapper's callbacks: on the write path those took more
// processor time than the database (docs/performance.md). Statements that choose rows are still
// built with gorm.
type table struct {
	name    string
	columns []column
	byName  map[string]*column // every field that can be read, by column
	primary []string
}

// column is one column and the field that holds it.
type column struct {
	name    string
	index   []int
	form    form
	primary bool
}

var (
	tables       sync.Map // reflect.Type → *table
	schemas      sync.Map // gorm's own cache
	namingIsOurs = schema.NamingStrategy{}
)

// tableOf is the table of T, a struct with gorm tags. A type that cannot be mapped is a mistake
// in the program.
func tableOf[T any]() *table {
	typ := reflect.TypeFor[T]()
	if t, ok := tables.Load(typ); ok {
		return t.(*table) //nolint:forcetypeassert // nothing else is stored.
	}
	parsed, err := schema.Parse(new(T), &schemas, namingIsOurs)
	if err != nil {
		panic(fmt.Sprintf("no table for %s: %v", typ, err)) //nolint:forbidigo // a mistake in the program.
	}
	t := &table{name: parsed.Table, byName: map[string]*column{}}
	for _, f := range parsed.Fields {
		if f.DBName == "" {
			continue
		}
		c := column{name: f.DBName, index: f.StructField.Index, form: formOf(f.FieldType), primary: f.PrimaryKey}
		t.byName[f.DBName] = &c
		if !f.Creatable {
			continue // read from elsewhere
		}
		t.columns = append(t.columns, c)
		if f.PrimaryKey {
			t.primary = append(t.primary, f.DBName)
		}
	}
	stored, _ := tables.LoadOrStore(typ, t)
	return stored.(*table) //nolint:forcetypeassert // nothing else is stored.
}

// insertAt appends rows, many a statement, in whatever phase the transaction is.
func insertAt[T any](tx *Tx, rows []*T) error {
	t := tableOf[T]()
	return write(tx, t, t.columns, rows, nil)
}

// upsert writes these columns of rows that exist and are locked, many a statement: an INSERT
// that finds each key taken. (An UPDATE would take one statement a row.)
func upsert[T any](tx *Tx, rows []*T, columns ...string) error {
	t := tableOf[T]()
	return write(tx, t, t.columns, rows, columns)
}

// upsertFew is upsert with no more than the keys and these columns, for a table whose other
// columns have defaults that pass its checks: the shorter statement takes half the time.
func upsertFew[T any](tx *Tx, rows []*T, columns ...string) error {
	t := tableOf[T]()
	return write(tx, t, t.named(columns), rows, columns)
}

// insertFew is insertAt with no more than the keys and these columns: the others of all rows hold
// what the table has by default.
func insertFew[T any](tx *Tx, rows []*T, columns ...string) error {
	t := tableOf[T]()
	return write(tx, t, t.named(columns), rows, nil)
}

// insertUsed is insertFew without those of the optional columns that no row has a value for: the table has
// nothing there by default, and a shorter statement takes less time.
func insertUsed[T any](tx *Tx, rows []*T, always []string, optional ...string) error {
	t := tableOf[T]()
	for _, name := range optional {
		index := t.byName[name].index
		if slices.ContainsFunc(rows, func(row *T) bool {
			v := reflect.ValueOf(row).Elem().FieldByIndex(index)
			return !v.IsZero() && (v.Kind() != reflect.Slice || v.Len() > 0)
		}) {
			always = append(always, name)
		}
	}
	return write(tx, t, t.named(always), rows, nil)
}

// named is the keys and these columns.
func (t *table) named(columns []string) []column {
	return slices.DeleteFunc(slices.Clone(t.columns), func(c column) bool {
		return !c.primary && !slices.Contains(columns, c.name)
	})
}

// write inserts these columns of rows, as many a statement as limits allow; where a key is taken,
// update is what changes.
func write[T any](tx *Tx, t *table, columns []column, rows []*T, update []string) error {
	most := min(limits.StatementRows, limits.StatementValues/len(columns))
	head, end := t.insert(columns, update, tx.store.dialect)
	for len(rows) > 0 {
		text := append(make([]byte, 0, len(head)+len(end)+min(most, len(rows))*len(columns)*valueBytes), head...)
		var args []any
		n, size := 0, 0
		for ; n < min(most, len(rows)) && len(text)+size < limits.StatementBytes; n++ {
			if n > 0 {
				text = append(text, ',')
			}
			text = append(text, '(')
			v := reflect.ValueOf(rows[n]).Elem()
			for i := range columns {
				if i > 0 {
					text = append(text, ',')
				}
				var arg any
				var err error
				if text, arg, err = columns[i].literal(text, v); err != nil {
					return err
				}
				if arg != nil {
					args = append(args, arg)
					size += sizeOf(arg)
				}
			}
			text = append(text, ')')
		}
		if err := tx.exec(string(append(text, end...)), args); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// valueBytes is about how long a value is in a statement.
const valueBytes = 24

// sizeOf is how many bytes a value adds to a statement, if it may be many.
func sizeOf(arg any) int {
	switch v := arg.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	}
	return 0
}

// insert is what stands before and behind the rows of an INSERT; update is what changes where a key is taken.
func (t *table) insert(columns []column, update []string, d migrations.Dialect) (head, end string) {
	var b strings.Builder
	b.WriteString("INSERT INTO ")
	quoted(&b, t.name)
	b.WriteString(" (")
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		quoted(&b, c.name)
	}
	b.WriteString(") VALUES ")
	head = b.String()
	if len(update) == 0 {
		return head, ""
	}
	b.Reset()
	if d == migrations.SQLite {
		b.WriteString(" ON CONFLICT (")
		for i, p := range t.primary {
			if i > 0 {
				b.WriteByte(',')
			}
			quoted(&b, p)
		}
		b.WriteString(") DO UPDATE SET ")
	} else {
		b.WriteString(" ON DUPLICATE KEY UPDATE ")
	}
	for i, c := range update {
		if i > 0 {
			b.WriteByte(',')
		}
		quoted(&b, c)
		if d == migrations.SQLite {
			b.WriteString("=excluded.")
			quoted(&b, c)
		} else {
			b.WriteString("=VALUES(")
			quoted(&b, c)
			b.WriteByte(')')
		}
	}
	return head, b.String()
}

// quoted writes a name of a table or column; both engines take backticks.
func quoted(b *strings.Builder, name string) {
	b.WriteByte('`')
	b.WriteString(name)
	b.WriteByte('`')
}

// exec runs one statement of the transaction.
func (tx *Tx) exec(statement string, args []any) error {
	_, err := tx.affect(statement, args)
	return err
}

// affect is exec that answers how many rows it found.
func (tx *Tx) affect(statement string, args []any) (int, error) {
	ctx := tx.db.Statement.Context
	count(ctx)
	done, err := tx.db.Statement.ConnPool.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, translate(err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// query runs one statement and reads its rows with read, which is called for each.
func (r *Reader) query(read func(*sql.Rows) error, statement string, args ...any) error {
	defer r.lock()()
	ctx := r.db.Statement.Context
	count(ctx)
	rows, err := r.db.Statement.ConnPool.QueryContext(ctx, statement, args...)
	if err != nil {
		return translate(err)
	}
	return translate(drain(rows, read))
}

// drain reads rows to their end. A deadlock in the middle is told by Err alone.
func drain(rows *sql.Rows, read func(*sql.Rows) error) error {
	for rows.Next() {
		if err := read(rows); err != nil {
			_ = rows.Close() // the error of reading is the one to tell.
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// find reads the rows that build selects.
func find[T any](r *Reader, build func(*gorm.DB) *gorm.DB) ([]*T, error) {
	defer r.lock()()
	found, err := build(r.db.Model(new(T))).Rows()
	if err != nil {
		return nil, translate(err)
	}
	return collect[T](found)
}

// ask is find with the text of a statement: for reads that every page makes.
func ask[T any](r *Reader, statement string, args ...any) ([]*T, error) {
	defer r.lock()()
	ctx := r.db.Statement.Context
	count(ctx)
	found, err := r.db.Statement.ConnPool.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, translate(err)
	}
	return collect[T](found)
}

// collect reads rows to their end.
func collect[T any](found *sql.Rows) ([]*T, error) {
	names, err := found.Columns()
	if err != nil {
		return nil, translate(err)
	}
	t := tableOf[T]()
	columns := make([]*column, len(names))
	for i, name := range names {
		columns[i] = t.byName[name] // nil for one that a newer release added
	}
	var rows []*T
	read := newCells(columns)
	err = drain(found, func(found *sql.Rows) error {
		row := new(T)
		rows = append(rows, row)
		if err := read.next(found); err != nil {
			return err
		}
		return read.into(row, 0)
	})
	return rows, translate(err)
}

// all is every column of the table, in the order of selected.
func (t *table) all() []*column {
	columns := make([]*column, len(t.columns))
	for i := range t.columns {
		columns[i] = &t.columns[i]
	}
	return columns
}

// selected is the columns of T under an alias, for a statement that joins.
func (t *table) selected(alias string) string {
	var b strings.Builder
	for i, c := range t.columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(alias)
		b.WriteByte('.')
		quoted(&b, c.name)
	}
	return b.String()
}

// marks is n placeholders of a list.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// keyArgs is the account and keys as a statement's arguments.
func keyArgs(account models.Key, keys []models.Key) []any {
	args := make([]any, 0, 1+len(keys))
	args = append(args, account[:])
	for i := range keys {
		args = append(args, keys[i][:])
	}
	return args
}

// identArgs is keyArgs for identifiers.
func identArgs(account models.Key, keys []models.Ident) []any {
	args := make([]any, 0, 1+len(keys))
	args = append(args, account[:])
	for _, k := range keys {
		args = append(args, []byte(k))
	}
	return args
}
