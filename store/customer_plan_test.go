package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure each order of the list of customers, and each filter that has an index, is read along that index on both engines, on the
// first page and behind a cursor, by the statements that the store really runs (rule E9): the engine's own plan of each says so. No
// page is sorted, but where few rows are by their number: those of customers who are named, and of a merge of some ranges of tags.
func TestCustomerPagesUseIndexes(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisor := testkit.Advisors(t, s, account, 1)[0]
		other := testkit.Account(t, s)
		const n, bound = 30_000, 15_000
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, unionid, follow_state, created_at, advisor_id, bound_at, bound_label, folded)
			SELECT CASE WHEN n < %d THEN ? ELSE ? END, %s, %s, %s, 'FOLLOWING', 1, CASE WHEN n < %d THEN ? END, CASE WHEN n < %d THEN n + 1 ELSE 0 END, CASE WHEN n < 6000 THEN 'spring' ELSE '' END, '小王' FROM (%s) numbers`,
			n-1_000, keyOfNumber(s), openidOfNumber(s), openidOfNumber(s), bound, bound, numbersBelow(n)), account.Key, other.Key, advisor.Key)
		mustExec(t, s, fmt.Sprintf(`INSERT INTO conversation (account_id, customer_id, advisor_id, active_at) SELECT ?, %s, CASE WHEN n < %d THEN ? END, n FROM (%s) numbers`,
			keyOfNumber(s), bound, numbersBelow(n)), account.Key, advisor.Key)
		options := []models.Key{models.NewKey(), models.NewKey()}
		for i, option := range options {
			mustExec(t, s, fmt.Sprintf("INSERT INTO customer_tag (account_id, customer_id, option_id) SELECT ?, %s, ? FROM (%s) numbers WHERE n %% %d = 0", keyOfNumber(s), numbersBelow(n), i+2), account.Key, option)
		}
		for _, gram := range []string{"小", "王", "小王"} {
			mustExec(t, s, fmt.Sprintf("INSERT INTO customer_gram (account_id, gram, customer_id) SELECT ?, ?, %s FROM (%s) numbers", keyOfNumber(s), numbersBelow(n)), account.Key, []byte(gram))
		}
		if !s.IsEmbedded() {
			mustExec(t, s, "ANALYZE TABLE customer, conversation, customer_tag, customer_gram")
		}
		const own = "PRIMARY"
		no, group := false, models.NewKey()
		mustExec(t, s, "INSERT INTO group_member (account_id, group_id, advisor_id) VALUES (?, ?, ?)", account.Key, group, advisor.Key)
		newest, oldest := models.OrderNewest, models.OrderOldest
		both := []models.CustomerOrder{newest, oldest}
		named := []models.Ident{"0000000000000007", "0000000000000008"}
		for _, tt := range []struct {
			name   string
			orders []models.CustomerOrder
			filter store.CustomerFilter
			// along is the table and the index of each that a page's own statement reads, in order.
			along []string
			// sorts: what it reads is sorted, and as few as the filter names or the ranges of a merge are cut after.
			sorts bool
		}{
			{"all, newest", []models.CustomerOrder{newest}, store.CustomerFilter{}, []string{"customer " + own}, false},
			{"all, oldest", []models.CustomerOrder{oldest}, store.CustomerFilter{}, []string{"customer " + own}, false},
			{"latest bound", []models.CustomerOrder{models.OrderLatestBound}, store.CustomerFilter{Advisor: advisor.Key}, []string{"customer customer_advisor"}, false},
			{"earliest bound", []models.CustomerOrder{models.OrderEarliestBound}, store.CustomerFilter{Advisor: advisor.Key}, []string{"customer customer_advisor"}, false},
			{"latest active", []models.CustomerOrder{models.OrderLatestActive}, store.CustomerFilter{Advisor: advisor.Key}, []string{"active conversation_inbox", "customer " + own}, false},
			{"label", both, store.CustomerFilter{Label: "spring"}, []string{"customer customer_label"}, false},
			{"tag, all of", both, store.CustomerFilter{Tags: store.TagFilter{All: options[:1]}}, []string{"along customer_tag_option", "customer " + own}, false},
			{"tag, one of one", both, store.CustomerFilter{Tags: store.TagFilter{Any: options[:1]}}, []string{"along customer_tag_option", "customer " + own}, false},
			{"tag, one of two", both, store.CustomerFilter{Tags: store.TagFilter{Any: options}}, []string{"customer_tag customer_tag_option", "customer_tag customer_tag_option", "customer " + own}, true},
			{"search", both, store.CustomerFilter{Search: "小王"}, []string{"along " + own, "customer " + own}, false},
			{"unassigned", both, store.CustomerFilter{Assigned: &no}, []string{"customer customer_advisor"}, false},
			{"group", both, store.CustomerFilter{Group: group}, []string{"customer customer_advisor"}, true},
			{"openids", both, store.CustomerFilter{OpenIDs: named}, []string{"customer customer_openid"}, true},
			{"unionids", both, store.CustomerFilter{UnionIDs: named}, []string{"customer customer_unionid"}, true},
		} {
			middle := &relay.Keyset{Sort: bound / 2, Key: keyNumbered(bound / 2)}
			for i, after := range slices.Repeat([]*relay.Keyset{nil, middle}, len(tt.orders)) {
				order := tt.orders[i/2]
				where := fmt.Sprintf("%s, %s, %s page", tt.name, order, []string{"first", "middle"}[i%2])
				var ran []store.Statement
				if _, _, err := s.Watched(t.Context(), &ran).CustomerPage(account.Key, tt.filter, order, relay.Page{First: 50, After: after}); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
				if len(ran) == 0 {
					t.Fatalf("%s: no statement was seen", where)
				}
				for i, statement := range ran {
					plan := mustPlan(t, s, statement)
					if i == len(ran)-1 { // the page itself, which also reads the last interaction of each
						if want := append([]string{"v PRIMARY"}, tt.along...); !slices.Equal(slices.Sorted(slices.Values(plan.reads)), slices.Sorted(slices.Values(want))) {
							t.Errorf("%s reads %q, want %q", where, plan.reads, want)
						}
					}
					if plan.isSorted && !tt.sorts {
						t.Errorf("%s: %s\nsorts", where, statement.Text)
					}
					for _, read := range plan.reads {
						if strings.HasSuffix(read, " ") {
							t.Errorf("%s: %s\nreads %swithout an index", where, statement.Text, read)
						}
					}
				}
			}
		}
	})
}

// planned is how an engine means to run a statement.
type planned struct {
	// reads are the tables, "alias index", without an index behind it where all of a table is read. What the statement itself makes is none.
	reads    []string
	made     []string
	isSorted bool
}

func mustPlan(t *testing.T, s *store.Store, statement store.Statement) *planned {
	t.Helper()
	p := &planned{}
	explain, read := "EXPLAIN ", p.mysql // FORMAT=JSON of MariaDB is no JSON where an argument is of bytes
	if s.IsEmbedded() {
		explain, read = "EXPLAIN QUERY PLAN ", p.sqlite
	}
	rows, err := mustSQL(t, s).QueryContext(t.Context(), explain+statement.Text, statement.Args...)
	if err != nil {
		t.Fatalf("%s: %v", statement.Text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		line := map[string]string{}
		for i, c := range columns {
			line[c] = values[i].String
		}
		read(line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// mysql takes in a line of a plan of MySQL or MariaDB.
func (p *planned) mysql(line map[string]string) {
	if table := line["table"]; table != "" && !strings.HasPrefix(table, "<") {
		p.reads = append(p.reads, table+" "+line["key"])
	}
	if strings.Contains(line["Extra"], "filesort") {
		p.isSorted = true
	}
}

// sqliteIndexes are the names that SQLite gives to keys which have one elsewhere.
var sqliteIndexes = strings.NewReplacer("PRIMARY KEY", "PRIMARY", "sqlite_autoindex_customer_2", "customer_openid", "COVERING ", "", "INDEX ", "")

// sqlite takes in a line of a plan of SQLite: "SEARCH customer USING PRIMARY KEY (account_id=?)".
func (p *planned) sqlite(line map[string]string) {
	detail := line["detail"]
	if strings.HasSuffix(detail, "TEMP B-TREE FOR ORDER BY") {
		p.isSorted = true
	}
	how, rest, _ := strings.Cut(detail, " ")
	table, by, _ := strings.Cut(rest, " ")
	by, _, _ = strings.Cut(strings.TrimPrefix(by, "USING "), " (")
	switch {
	case how == "CO-ROUTINE" || how == "MATERIALIZE":
		p.made = append(p.made, table)
	case (how == "SEARCH" || how == "SCAN") && rest != "CONSTANT ROW" && !slices.Contains(p.made, table):
		p.reads = append(p.reads, table+" "+sqliteIndexes.Replace(by))
	}
}
