package crash

import (
	"database/sql"
	"encoding/json"
	"slices"
	"strings"

	"clientele/models"
	"clientele/store"
)

// As if the leases of the dead had ended meanwhile.
const (
	endJobLeases   = "UPDATE job SET due_at = 0"
	endSweepLeases = "UPDATE sweep SET leased_until = 0"
)

// killAll kills every node, runs meanwhile on the database, and starts them again.
func (r *rig) killAll(meanwhile func(*sql.DB)) {
	r.Helper()
	for _, n := range r.nodes {
		n.process.Kill()
	}
	r.openedSQL(meanwhile)
	for _, n := range r.nodes {
		n.start(r.T)
	}
}

// openedSQL is opened for who needs no more than SQL.
func (r *rig) openedSQL(fn func(*sql.DB)) {
	r.Helper()
	r.opened(func(s *store.Store) {
		db, err := s.SQL()
		if err != nil {
			r.Fatal(err)
		}
		fn(db)
	})
}

// stop ends every node: well, or, when the run was spoiled, at once.
func (r *rig) stop() {
	r.Helper()
	for _, n := range r.nodes {
		if r.spoiled {
			n.process.Kill()
			continue
		}
		if err := n.process.Stop(patience); err != nil {
			r.Errorf("%s: %v\n%s", n.name, err, n.output.Tail())
		}
	}
}

// half ensures that a kill met work that had begun and had not ended, of which met is what each found done of all. One
// is enough: where the machine is busy elsewhere, what is killed may end before the rig sees how far it is.
func (r *rig) half(met []int, all int) {
	r.Helper()
	if !r.spoiled && !slices.ContainsFunc(met, func(done int) bool { return 0 < done && done < all }) {
		r.Errorf("kills met %v of %d: none of them work that was half done", met, all)
	}
}

// count is the one number that a query answers; NULL is 0.
func (r *rig) count(db *sql.DB, query string) int {
	r.Helper()
	var n sql.NullInt64
	if err := db.QueryRowContext(r.Context(), query).Scan(&n); err != nil {
		r.Fatalf("%s: %v", query, err)
	}
	return int(n.Int64)
}

func (r *rig) exec(db *sql.DB, statement string) {
	r.Helper()
	if _, err := db.ExecContext(r.Context(), statement); err != nil {
		r.Fatalf("%s: %v", statement, err)
	}
}

// facts adds each row that a query answers, its values in one text, to those that were found, and counts how often.
func (r *rig) facts(db *sql.DB, found map[string]int, query string) {
	r.Helper()
	rows, err := db.QueryContext(r.Context(), query)
	if err != nil {
		r.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		r.Fatalf("%s: %v", query, err)
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			r.Fatalf("%s: %v", query, err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = v.String
		}
		found[strings.Join(texts, " ")]++
	}
	if err := rows.Err(); err != nil {
		r.Fatalf("%s: %v", query, err)
	}
}

// asked reads what a field answers on the first node into a value; false when no answer came, or one that it is not there.
func (r *rig) asked(token, query string, variables map[string]any, field string, into any) bool {
	r.Helper()
	data, err := r.ask(r.nodes[0], token, query, variables)
	if answered, ok := err.(*refused); ok && answered.code == string(models.CodeNotFound) { //nolint:errorlint // ask wraps nothing.
		return false
	}
	if err != nil {
		if !passing(err) {
			r.Fatalf("%s: %v", query, err)
		}
		return false
	}
	if err := json.Unmarshal(data[field], into); err != nil {
		r.Fatalf("%s: %v", query, err)
	}
	return true
}

// must is asked of what has to be answered at once.
func (r *rig) must(token, query string, variables map[string]any, field string, into any) {
	r.Helper()
	if !r.asked(token, query, variables, field, into) {
		r.dump()
		r.Fatalf("not answered: %s", query)
	}
}
