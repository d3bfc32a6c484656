package testkit

import (
	"fmt"
	"strings"
	"testing"

	"clientele/store"
)

// Tables are the tables that hold something of accounts, each with its column of the account's key.
func Tables(tb testing.TB, s *store.Store) map[string]string {
	tb.Helper()
	query := `SELECT table_name FROM information_schema.columns WHERE table_schema = DATABASE() AND column_name = 'account_id'`
	if s.IsEmbedded() {
		query = `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'account_id' WHERE m.type = 'table'`
	}
	const least = 15 // or the query is wrong
	tables := map[string]string{"account": "id"}
	err := eachRow(tb, s, query, func(_ []string, values []any) { tables[fmt.Sprintf("%s", values[0])] = "account_id" })
	if err != nil || len(tables) < least {
		tb.Fatalf("%d tables, %v", len(tables), err)
	}
	return tables
}

// Holding is the places, "table.column", of all values that Tables have which hold one of the texts, in any case: a place
// for each value and text.
func Holding(tb testing.TB, s *store.Store, texts ...string) (places []string) {
	tb.Helper()
	for table := range Tables(tb, s) {
		err := eachRow(tb, s, "SELECT * FROM `"+table+"`", func(columns []string, values []any) {
			for i, v := range values {
				held, ok := v.(string)
				if b, isBytes := v.([]byte); isBytes {
					held, ok = string(b), true
				}
				for _, text := range texts {
					if ok && strings.Contains(strings.ToLower(held), strings.ToLower(text)) {
						places = append(places, table+"."+columns[i])
					}
				}
			}
		})
		if err != nil {
			tb.Fatalf("read %s: %v", table, err)
		}
	}
	return places
}

// eachRow calls fn with the rows of a query, whose values are its own for the call.
func eachRow(tb testing.TB, s *store.Store, query string, fn func(columns []string, values []any)) error {
	tb.Helper()
	db, err := s.SQL()
	if err != nil {
		return err
	}
	rows, err := db.QueryContext(tb.Context(), query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fn(columns, values)
	}
	return rows.Err()
}
